"""B-splines of any degree, the basis of pykan and efficient-KAN."""

from __future__ import annotations

import dataclasses
from typing import get_args

import torch
from torch import Tensor

from .._check import increasing, whole_number
from .._device import exact
from ._base import Params
from ._grid import continued, subdivided
from ._local import _LocalSpline, spline
from ._spline import Outside, is_uniform

_NAME = "BSpline"


@dataclasses.dataclass(frozen=True)
class BSpline(_LocalSpline):
    """The B-splines phi_k of degree P on G intervals: K = G + P piecewise polynomials whose sum is 1 on the range.

    phi_k = N_{k,P} by the Cox-de Boor recursion. N_{k,0} is 1 on the k-th interval of the knots T, and 0 elsewhere, and
    N_{k,d}(z) = (z - T_k) / (T_{k+d} - T_k) N_{k,d-1}(z) + (T_{k+d+1} - z) / (T_{k+d+1} - T_{k+1}) N_{k+1,d-1}(z).
    There are P more knots beyond each end, at the distance of the outermost two.

    Uniform knots need no recursion: the P+1 functions that are not zero are polynomials of the place of z in its
    interval. With G = 128 their error is below 1e-5 in float32 and below 1e-13 in float64. An interval contains its
    left end, and the last interval also its right end, as in scipy's `BSpline` with `extrapolate=True`. efficient-KAN
    and pykan exclude the right end; this makes a difference only for degree 0.

    Args:
        grid_size: number of intervals G, at least 1.
        degree: P, at least 0. The functions have P - 1 continuous derivatives.
        grid_range: the ends, in units of z (after the norm).
        outside: the functions beyond the ends. "zero": they fall to 0 within P intervals, as in efficient-KAN and
            pykan. "linear": they continue with the value and the slope at the end (in float32 up to 1e19 intervals
            away; further out they are constant). "constant": they keep the value at the end.
        knots: the G + 1 knots, including the ends, in increasing order. They then determine `grid_size` and
            `grid_range`. None is a uniform grid.
        per_feature: knots for each input feature, instead of one set for the layer. If `knots` is given, the tensor may
            contain any increasing knots. If it is None, the knots must be uniform; `fold` and `grid_to` ensure this.

    Tensors: `knots` [G+1+2P], or [I, G+1+2P] if `per_feature`, including the knots beyond the ends.

    Raises:
        TypeError, ValueError: an argument is outside its domain.

    Source: C. de Boor, A Practical Guide to Splines (1978); Liu et al., KAN (arXiv 2404.19756).

    Example:
        >>> BSpline(grid_size=5, degree=3).num_basis
        8
    """

    grid_size: int = 5
    degree: int = 3
    grid_range: tuple[float, float] = (-1.0, 1.0)
    outside: Outside = "zero"
    knots: tuple[float, ...] | None = None
    per_feature: bool = False

    def __post_init__(self) -> None:
        count = whole_number(_NAME, "grid_size", self.grid_size, 1)
        object.__setattr__(self, "degree", whole_number(_NAME, "degree", self.degree, 0))
        ends = increasing(_NAME, "grid_range", self.grid_range)
        if len(ends) != 2:
            raise ValueError(f"{_NAME}: grid_range must be two numbers (first, last), got {ends}")
        if self.knots is not None:
            knots = increasing(_NAME, "knots", self.knots)
            if count not in (BSpline.grid_size, len(knots) - 1):
                raise ValueError(
                    f"{_NAME}: knots has {len(knots)} numbers ({len(knots) - 1} intervals), but grid_size is {count}; "
                    "give only one of them"
                )
            count, ends = len(knots) - 1, (knots[0], knots[-1])
            object.__setattr__(self, "knots", knots)
        object.__setattr__(self, "grid_size", count)
        object.__setattr__(self, "grid_range", ends)
        if self.outside not in get_args(Outside):
            raise ValueError(f'{_NAME}: outside must be "zero", "linear" or "constant", got {self.outside!r}')
        if not isinstance(self.per_feature, bool):
            raise TypeError(f"{_NAME}: per_feature must be True or False, got {self.per_feature!r}")
        # Functions of degree 0 jump at the knots, so z is compared with the knots themselves, as in the recursion.
        uniform = self.knots is None and self.degree > 0
        object.__setattr__(self, "_spline", spline(count, self.degree, self.outside, uniform))

    def _knots(self, params: Params) -> Tensor:
        return params["knots"]

    def init(
        self,
        in_features: int,
        out_features: int,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> dict[str, Tensor]:
        if self.knots is None:
            low, high = self.grid_range
            inner = torch.linspace(low, high, self.grid_size + 1, dtype=torch.float64, device="cpu")
        else:
            inner = torch.tensor(self.knots, dtype=torch.float64, device="cpu")
        device = torch.get_default_device() if device is None else device
        knots = continued(inner, self.degree).to(device, dtype or torch.get_default_dtype())
        return {"knots": knots.repeat(in_features, 1) if self.per_feature else knots}

    def fold(self, params: Params, center: Tensor, scale: Tensor) -> tuple[BSpline, dict[str, Tensor]]:
        knots = params["knots"] / scale.unsqueeze(-1) + center.unsqueeze(-1)  # [I, G+1+2P]
        return dataclasses.replace(self, per_feature=True), {"knots": knots}

    def sites(self, params: Params) -> Tensor:
        """Return the Greville points [K] or [I, K]: the mean of each function's inner knots; for P = 0, the middle."""
        knots = params["knots"]
        if not self.degree:
            return (knots[..., 1:] + knots[..., :-1]) / 2
        return knots[..., 1:-1].unfold(-1, self.degree, 1).mean(-1)

    def grid_of(self, params: Params) -> Tensor:
        return params["knots"][..., self.degree : self.degree + self.grid_size + 1]

    def grid_to(self, params: Params, grid: Tensor) -> tuple[BSpline, dict[str, Tensor]]:
        knots = None if is_uniform(_NAME, grid) else tuple(exact(grid.detach()).mean(0).tolist())
        ends = self.grid_range if knots is None else (knots[0], knots[-1])
        new = dataclasses.replace(self, knots=knots, grid_range=ends, per_feature=True)
        return new, {"knots": continued(grid, self.degree)}

    def refine(self, num: int) -> BSpline:
        """Return the basis with `num` intervals on the same range; if nested, it contains the present functions.

        Args:
            num: the new grid_size, not smaller than the present one. The new basis is nested if `num` is a multiple of
                the present grid_size. Intervals between given knots are divided evenly.

        Raises:
            ValueError: `num` is smaller than the present number of intervals.
        """
        count = whole_number("BSpline.refine", "grid_size", num, self.grid_size)
        if self.knots is None:
            return dataclasses.replace(self, grid_size=count)
        knots = subdivided(torch.tensor(self.knots, dtype=torch.float64, device="cpu"), count + 1)
        return dataclasses.replace(self, grid_size=count, knots=tuple(knots.tolist()))

    def refined(
        self, params: Params, num: int, in_features: int, out_features: int
    ) -> tuple[BSpline, dict[str, Tensor]]:
        new = self.refine(num)
        inner = subdivided(self.grid_of(params), new.grid_size + 1)
        return new, {"knots": continued(inner, self.degree)}
