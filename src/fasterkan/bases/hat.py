"""Hat functions: piecewise linear interpolation between the points of a grid."""

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

_NAME = "Hat"


@dataclasses.dataclass(frozen=True)
class Hat(_LocalSpline):
    """Hats phi_k, 1 at the grid point u_k, 0 at its neighbours and linear between: W[o, i, k] is the value at u_k.

    phi_k(z) = (z - u_{k-1}) / (u_k - u_{k-1}) left of u_k, (u_{k+1} - z) / (u_{k+1} - u_k) right of it, 0 beyond the
    neighbours: the B-splines of degree 1. The slope at a grid point is that to its right, at the last one that to its
    left (on a uniform grid either, within rounding of the point). Error in float32 at 129 points: below 1e-5.

    Args:
        num_grids: number of grid points K, at least 2.
        grid_range: first and last grid point, in units of z (after the norm).
        outside: what the functions do beyond the ends. "constant": they keep the value of the end. "zero": they run
            out within one interval as long as the outermost. "linear": they go on with the slope of the end (up to
            1e19 intervals away in float32, from where on they are constant).
        grid: the grid points themselves, increasing; then `num_grids` and `grid_range` follow from them. None is
            uniform.
        per_feature: one grid for each input feature instead of one a layer. With `grid` given, the tensor may hold any
            increasing points; with None only uniform ones (`fold` and `grid_to` see to it).

    Tensors: `grid` [K], or [I, K] when `per_feature`.

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
                raise ValueError(f"{_NAME}: grid has {len(grid)} points, num_grids is {count}; leave one out")
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
        points = None if is_uniform(_NAME, grid) else tuple(grid.detach().double().mean(0).tolist())
        ends = self.grid_range if points is None else (points[0], points[-1])
        return dataclasses.replace(self, grid=points, grid_range=ends, per_feature=True), {"grid": grid.clone()}

    def refine(self, num: int) -> Hat:
        """Return the description with `num` grid points on the same range; it contains this one's functions if nested.

        Args:
            num: the new num_grids, at least the present one; nested if num - 1 is a multiple of num_grids - 1. Given
                points are divided evenly.

        Raises:
            ValueError: fewer points than now.
        """
        count = whole_number("Hat.refine", "num_grids", num, self.num_grids)
        if self.grid is None:
            return dataclasses.replace(self, num_grids=count)
        grid = subdivided(torch.tensor(self.grid, dtype=torch.float64, device="cpu"), count)
        return dataclasses.replace(self, num_grids=count, grid=tuple(grid.tolist()))

    def refined(self, params: Params, num: int, in_features: int, out_features: int) -> tuple[Hat, dict[str, Tensor]]:
        new = self.refine(num)
        return new, {"grid": subdivided(params["grid"], new.num_grids)}
