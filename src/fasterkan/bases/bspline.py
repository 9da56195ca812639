"""B-splines of any degree: the basis of pykan and efficient-KAN."""

from __future__ import annotations

import dataclasses
from typing import get_args

import torch
from torch import Tensor

from .._check import increasing, whole_number
from ._base import Params
from ._grid import continued, subdivided
from ._local import _LocalSpline, spline
from ._spline import Outside, is_uniform

_NAME = "BSpline"


@dataclasses.dataclass(frozen=True)
class BSpline(_LocalSpline):
    """The B-splines phi_k of degree P on G intervals: K = G + P piecewise polynomials that add up to 1 on the range.

    phi_k = N_{k,P} by the recursion of Cox and de Boor: N_{k,0} is 1 on the k-th interval of the knots T, else 0, and
    N_{k,d}(z) = (z - T_k) / (T_{k+d} - T_k) N_{k,d-1}(z) + (T_{k+d+1} - z) / (T_{k+d+1} - T_{k+1}) N_{k+1,d-1}(z).
    Beyond each end the knots go on P times, as far apart as the outermost two. Uniform knots need no recursion: the
    P+1 functions that are not zero are polynomials of z's place in its interval; their error in float32 at G = 128 is
    below 1e-5, in float64 below 1e-13. Intervals contain their left end, the last one its right end too (as scipy's
    `BSpline` with `extrapolate=True`; efficient-KAN and pykan leave the right end out, which shows at degree 0 only).

    Args:
        grid_size: number of intervals G, at least 1.
        degree: P, at least 0; the functions have P - 1 continuous derivatives.
        grid_range: the ends, in units of z (after the norm).
        outside: what the functions do beyond the ends. "zero": they run out within P intervals, as in efficient-KAN
            and pykan. "linear": they go on with value and slope of the end (up to 1e19 intervals away in float32, from
            where on they are constant). "constant": they keep the value of the end.
        knots: the G + 1 knots themselves, ends included, increasing; then `grid_size` and `grid_range` follow from
            them. None is uniform.
        per_feature: knots for each input feature instead of one set a layer. With `knots` given, the tensor may hold
            any increasing knots; with None only uniform ones (`fold` and `grid_to` see to it).

    Tensors: `knots` [G+1+2P], or [I, G+1+2P] when `per_feature`: all of them, those beyond the ends included.

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
                    f"{_NAME}: knots has {len(knots)} numbers, {len(knots) - 1} intervals, grid_size is {count}; "
                    "leave one out"
                )
            count, ends = len(knots) - 1, (knots[0], knots[-1])
            object.__setattr__(self, "knots", knots)
        object.__setattr__(self, "grid_size", count)
        object.__setattr__(self, "grid_range", ends)
        if self.outside not in get_args(Outside):
            raise ValueError(f'{_NAME}: outside must be "zero", "linear" or "constant", got {self.outside!r}')
        if not isinstance(self.per_feature, bool):
            raise TypeError(f"{_NAME}: per_feature must be True or False, got {self.per_feature!r}")
        # Degree 0 jumps at the knots: there z is compared with the knots themselves, as the recursion does.
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
        knots = continued(inner, self.degree).to(device, dtype or torch.get_default_dtype())
        return {"knots": knots.repeat(in_features, 1) if self.per_feature else knots}

    def fold(self, params: Params, center: Tensor, scale: Tensor) -> tuple[BSpline, dict[str, Tensor]]:
        knots = params["knots"] / scale.unsqueeze(-1) + center.unsqueeze(-1)  # [I, G+1+2P]
        return dataclasses.replace(self, per_feature=True), {"knots": knots}

    def sites(self, params: Params) -> Tensor:
        """Return the Greville points [K] or [I, K], the mean of each function's inner knots (its middle for P = 0)."""
        knots = params["knots"]
        if not self.degree:
            return (knots[..., 1:] + knots[..., :-1]) / 2
        return knots[..., 1:-1].unfold(-1, self.degree, 1).mean(-1)

    def grid_of(self, params: Params) -> Tensor:
        return params["knots"][..., self.degree : self.degree + self.grid_size + 1]

    def grid_to(self, params: Params, grid: Tensor) -> tuple[BSpline, dict[str, Tensor]]:
        knots = None if is_uniform(_NAME, grid) else tuple(grid.detach().double().mean(0).tolist())
        ends = self.grid_range if knots is None else (knots[0], knots[-1])
        new = dataclasses.replace(self, knots=knots, grid_range=ends, per_feature=True)
        return new, {"knots": continued(grid, self.degree)}

    def refine(self, num: int) -> BSpline:
        """Return the description with `num` intervals on the same range; it contains this one's functions if nested.

        Args:
            num: the new grid_size, at least the present one; nested if it is a multiple of it. Free knots are divided
                evenly.

        Raises:
            ValueError: fewer intervals than now.
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
