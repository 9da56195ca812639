"""The common part of families without a grid that `fold` can move: a range of z for each feature, in tensors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ._base import Basis, Params


class _Ranged(Basis):
    """A basis whose `range_of` is `grid_range` or, with `own_range`, the range in its tensors `low` and `high`.

    Each family defines the field `own_range`. `fold` sets it, because no other tensor of such a family shows where its
    functions were moved.
    """

    own_range: bool

    def range_of(self, params: Params) -> tuple[Tensor, Tensor]:
        if not self.own_range:
            return super().range_of(params)
        low, high = params["low"], params["high"]
        return (low[0], high[0]) if self.per_edge else (low, high)

    def _check_own_range(self) -> None:
        if not isinstance(self.own_range, bool):
            raise TypeError(f"{type(self).__name__}: own_range must be True or False, got {self.own_range!r}")

    def _first_range(self, *shape: int, **factory: Any) -> dict[str, Tensor]:
        """The tensors `low` and `high` of a new layer; empty without `own_range`."""
        if not self.own_range:
            return {}
        return {
            name: torch.full(shape, end, **factory) for name, end in zip(("low", "high"), self.grid_range, strict=True)
        }

    def _folded_range(self, params: Params, center: Tensor, scale: Tensor, *shape: int) -> dict[str, Tensor]:
        """The tensors `low` and `high` of a folded basis."""
        return {
            name: (end.to(scale) / scale + center).expand(*shape).clone()
            for name, end in zip(("low", "high"), self.range_of(params), strict=True)
        }
