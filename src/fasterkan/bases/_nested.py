"""Families whose functions are a prefix of those of a larger description."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, TypeVar

import torch
from torch import Tensor

from .._check import whole_number
from ._base import Basis, Params

_Self = TypeVar("_Self", bound="_Nested")


class _Nested(Basis):
    """A family counted by one field, such that the first functions of a larger count are those of this one."""

    _count: ClassVar[str]
    """The name of that field."""

    def refine(self: _Self, num: int) -> _Self:
        """Return the description with the larger count `num`, a degree or a number of frequencies.

        `refit` to it is exact: the weights are the old ones, then zeros.

        Raises:
            TypeError, ValueError: `num` is not a whole number, or less than now.
        """
        count = whole_number(f"{type(self).__name__}.refine", self._count, num, getattr(self, self._count))
        return dataclasses.replace(self, **{self._count: count})

    def refit(
        self,
        params: Params,
        weight: Tensor,
        z: Tensor,
        new: Basis,
        new_params: Params,
        new_z: Tensor,
        importance: Tensor | None = None,
    ) -> tuple[Tensor, float]:
        """Return weights with which `new` makes the same functions, exactly if it holds them at the same z.

        Arguments, returns and errors are those of `Basis.refit`.
        """
        more = new.num_basis - self.num_basis
        if more < 0 or not self._is_prefix(params, new, new_params) or not torch.equal(z, new_z.to(z)):
            return super().refit(params, weight, z, new, new_params, new_z, importance)
        kept = weight.detach()
        return torch.cat([kept, kept.new_zeros(*kept.shape[:-1], more)], -1), 0.0

    def _is_prefix(self, params: Params, new: Basis, new_params: Params) -> bool:
        """Whether the first functions of `new` are those of this basis; by default, if only the count differs."""
        count = {self._count: getattr(self, self._count)}
        return isinstance(new, type(self)) and dataclasses.replace(new, **count) == self
