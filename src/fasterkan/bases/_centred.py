"""The common part of bases with bumps around the centres of a grid: checking and refining the grid."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor

from .._check import increasing, whole_number
from ._base import Basis, Params
from ._grid import continued, finer_beyond, subdivided


class _Centred(Basis):
    """K functions around K centres, `beyond` of them beyond each end of `grid_range`.

    A family defines the fields below, and calls `_check_grid` in `__post_init__` to check and complete them.
    """

    num_grids: int
    beyond: int
    grid: tuple[float, ...] | None
    per_feature: bool

    @property
    def num_basis(self) -> int:
        return self.num_grids

    @property
    def spacing(self) -> float:
        """The mean distance d of neighbouring centres, in units of z."""
        return (self.grid_range[1] - self.grid_range[0]) / (self.num_grids - 1 - 2 * self.beyond)

    def sites(self, params: Params) -> Tensor:
        return params["grid"]

    def grid_of(self, params: Params) -> Tensor:
        return params["grid"][..., self.beyond : self.num_grids - self.beyond]

    def _centres(self, device: torch.device | str | None, dtype: torch.dtype | None) -> Tensor:
        """The initial centres, [K]."""
        if self.grid is not None:
            return continued(torch.tensor(self.grid, device=device, dtype=dtype), self.beyond)
        margin = self.beyond * self.spacing
        first, last = self.grid_range
        return torch.linspace(first - margin, last + margin, self.num_grids, device=device, dtype=dtype)

    def _finer_grid(self, num: int) -> dict[str, Any]:
        """The fields `num_grids`, `beyond` and `grid` of a basis with `num` centres on the same range."""
        count = whole_number(f"{type(self).__name__}.refine", "num_grids", num, self.num_grids)
        beyond, grid = finer_beyond(count, self.num_grids, self.beyond), self.grid
        if grid is not None:
            exact = torch.tensor(grid, dtype=torch.float64, device="cpu")
            grid = tuple(subdivided(exact, count - 2 * beyond).tolist())
        return {"num_grids": count, "beyond": beyond, "grid": grid}

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def _check_grid(self) -> None:
        """Check and complete `num_grids`, `grid_range`, `grid` and `beyond`."""
        name, default = type(self).__name__, {f.name: f.default for f in dataclasses.fields(self)}["num_grids"]
        beyond = whole_number(name, "beyond", self.beyond, 0)
        count = whole_number(name, "num_grids", self.num_grids, 2)
        ends = increasing(name, "grid_range", self.grid_range)
        if len(ends) != 2:
            raise ValueError(f"{name}: grid_range must be two numbers (first, last), got {ends}")
        if self.grid is not None:
            centres = increasing(name, "grid", self.grid)
            if count not in (default, len(centres) + 2 * beyond):
                raise ValueError(
                    f"{name}: grid has {len(centres)} centres, num_grids is {count}; give only one of them"
                )
            count, ends = len(centres) + 2 * beyond, (centres[0], centres[-1])
            self._set("grid", centres)
        if (inner := count - 2 * beyond) < 2:
            raise ValueError(f"{name}: num_grids={count} with beyond={beyond} leaves {inner} centres on the range")
        self._set("num_grids", count)
        self._set("grid_range", ends)
        self._set("beyond", beyond)
