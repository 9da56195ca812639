"""Hat functions: piecewise linear interpolation between the points of a grid."""

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

_NAME = "Hat"


@dataclasses.dataclass(frozen=True)
class Hat(_LocalSpline):
    """Hats phi_k: 1 at the grid point u_k, 0 at its neighbours, and linear between; W[o, i, k] is the value at u_k.

    phi_k(z) = (z - u_{k-1}) / (u_k - u_{k-1}) to the left of u_k, (u_{k+1} - z) / (u_{k+1} - u_k) to the right, and 0
    beyond the neighbours. These are the B-splines of degree 1. At a grid point, the slope is the one to its right; at
    the last point, it is the one to its left. On a uniform grid it may be either, because of rounding. The error in
    float32 with 129 points is below 1e-5.

    Args:
        num_grids: number of grid points K, at least 2.
        grid_range: first and last grid point, in units of z (after the norm).
        outside: the functions beyond the ends. "constant": they keep the value at the end. "zero": they fall to 0
            within one interval, which has the length of the outermost one. "linear": they continue with the slope at
            the end (in float32 up to 1e19 intervals away; further out they are constant).
        grid: the grid points, in increasing order. They then determine `num_grids` and `grid_range`. None is a uniform
            grid.
        per_feature: one grid for each input feature, instead of one for the layer. If `grid` is given, the tensor may
            contain any increasing points. If it is None, the points must be uniform; `fold` and `grid_to` ensure this.

    Tensors: `grid` [K], or [I, K] if `per_feature`.

    Raises:
        TypeError, ValueError: an argument is outside its domain.

    Example:
        >>> Hat(num_grids=8).num_basis
        8
    """

    num_grids: int = 8
    grid_range: tuple[float, float] = (-1.2, 1.2)
    outside: Outside = "constant"
    grid: tuple[float, ...] | None = None
    per_feature: bool = False

    def __post_init__(self) -> None:
        count = whole_number(_NAME, "num_grids", self.num_grids, 2)
        ends = increasing(_NAME, "grid_range", self.grid_range)
        if len(ends) != 2:
            raise ValueError(f"{_NAME}: grid_range must be two numbers (first, last), got {ends}")
        if self.grid is not None:
            grid = increasing(_NAME, "grid", self.grid)
            if count not in (Hat.num_grids, len(grid)):
                raise ValueError(f"{_NAME}: grid has {len(grid)} points, num_grids is {count}; give only one of them")
            count, ends = len(grid), (grid[0], grid[-1])
            object.__setattr__(self, "grid", grid)
        object.__setattr__(self, "num_grids", count)
        object.__setattr__(self, "grid_range", ends)
        if self.outside not in get_args(Outside):
            raise ValueError(f'{_NAME}: outside must be "zero", "linear" or "constant", got {self.outside!r}')
        if not isinstance(self.per_feature, bool):
            raise TypeError(f"{_NAME}: per_feature must be True or False, got {self.per_feature!r}")
        object.__setattr__(self, "_spline", spline(count - 1, 1, self.outside, self.grid is None))

    def _knots(self, params: Params) -> Tensor:
        return continued(params["grid"], 1)

    def init(
        self,
        in_features: int,
        out_features: int,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> dict[str, Tensor]:
        if self.grid is None:
            grid = torch.linspace(*self.grid_range, self.num_grids, device=device, dtype=dtype)
        else:
            grid = torch.tensor(self.grid, device=device, dtype=dtype)
        return {"grid": grid.repeat(in_features, 1) if self.per_feature else grid}

    def fold(self, params: Params, center: Tensor, scale: Tensor) -> tuple[Hat, dict[str, Tensor]]:
        grid = params["grid"] / scale.unsqueeze(-1) + center.unsqueeze(-1)  # [I, K]
        return dataclasses.replace(self, per_feature=True), {"grid": grid}

    def sites(self, params: Params) -> Tensor:
        return params["grid"]

    def grid_of(self, params: Params) -> Tensor:
        return params["grid"]

    def grid_to(self, params: Params, grid: Tensor) -> tuple[Hat, dict[str, Tensor]]:
        points = None if is_uniform(_NAME, grid) else tuple(exact(grid.detach()).mean(0).tolist())
        ends = self.grid_range if points is None else (points[0], points[-1])
        return dataclasses.replace(self, grid=points, grid_range=ends, per_feature=True), {"grid": grid.clone()}

    def refine(self, num: int) -> Hat:
        """Return the basis with `num` grid points on the same range; if nested, it contains the present functions.

        Args:
            num: the new num_grids, not smaller than the present one. The new basis is nested if num - 1 is a multiple
                of num_grids - 1. Intervals between given points are divided evenly.

        Raises:
            ValueError: `num` is smaller than the present number of points.
        """
        count = whole_number("Hat.refine", "num_grids", num, self.num_grids)
        if self.grid is None:
            return dataclasses.replace(self, num_grids=count)
        grid = subdivided(torch.tensor(self.grid, dtype=torch.float64, device="cpu"), count)
        return dataclasses.replace(self, num_grids=count, grid=tuple(grid.tolist()))

    def refined(self, params: Params, num: int, in_features: int, out_features: int) -> tuple[Hat, dict[str, Tensor]]:
        new = self.refine(num)
        return new, {"grid": subdivided(params["grid"], new.num_grids)}
