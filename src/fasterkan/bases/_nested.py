"""Families in which a larger basis begins with the functions of a smaller one."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, TypeVar

import torch
from torch import Tensor

from .._check import whole_number
from ._base import Basis, Params

_Self = TypeVar("_Self", bound="_Nested")


class _Nested(Basis):
    """A family with one field for the count; a basis with a larger count begins with the same functions."""

    _count: ClassVar[str]
    """The name of the field for the count."""

    def refine(self: _Self, num: int) -> _Self:
        """Return the basis with the larger count `num`, a degree or a number of frequencies.

        `refit` to it is exact: the new weights are the old ones, followed by zeros.

        Raises:
            TypeError, ValueError: `num` is not a whole number, or is smaller than the present count.
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
        """Return weights with which `new` gives the same functions; exact if `new` contains them and z is the same.

        Arguments, result and errors are those of `Basis.refit`.
        """
        more = new.num_basis - self.num_basis
        if more < 0 or not self._is_prefix(params, new, new_params) or not torch.equal(z, new_z.to(z)):
            return super().refit(params, weight, z, new, new_params, new_z, importance)
        kept = weight.detach()
        return torch.cat([kept, kept.new_zeros(*kept.shape[:-1], more)], -1), 0.0

    def _is_prefix(self, params: Params, new: Basis, new_params: Params) -> bool:
        """Whether `new` begins with the functions of this basis; by default this holds if only the count differs."""
        count = {self._count: getattr(self, self._count)}
        return isinstance(new, type(self)) and dataclasses.replace(new, **count) == self
