"""From a basis to the kernels' functions for it: the one place that knows both."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from torch import Tensor

from ...bases import RSWAF, Basis, Gaussian, Params
from .families import centred


class Family(NamedTuple):
    """How the kernels compute a basis: its `triton.jit` functions, their constants, and the tensors that they read."""

    value: Any
    slope: Any
    value_constants: tuple[Any, ...] = ()
    slope_constants: tuple[Any, ...] = ()
    shapes: tuple[str, str] = ("", "")
    """The dimensions of p and q: "" (no tensor), "1", "I", "K" or "IK"."""
    learned: tuple[str, ...] = ()
    """The names of p and q, for which there are gradients; empty if there are none."""
    tensors: Callable[[Basis, Params], tuple[Tensor, ...]] = lambda basis, params: ()
    """Returns p and q; empty if there are none."""


@lru_cache
def family_of(basis: Basis) -> Family | str:
    """Return how the kernels compute a basis, or the reason why they cannot."""
    make = _FAMILIES.get(type(basis))
    return f"there is no kernel for {type(basis).__name__}" if make is None else make(basis)


def _rswaf(basis: RSWAF) -> Family | str:
    if basis.exponent != 2:
        return "RSWAF has a kernel only for exponent=2"
    shapes = ("IK", "I") if basis.per_feature else ("K", "1")
    return _with(centred.rswaf, centred.rswaf_slope, shapes, ("grid", "inv_denominator"))


def _gaussian(basis: Gaussian) -> Family | str:
    shapes = ("IK", "I") if basis.per_feature else ("K", "1")
    return _with(centred.gaussian, centred.gaussian_slope, shapes, ("grid", "denominator"))


def _with(value: Any, slope: Any, shapes: tuple[str, str], names: tuple[str, str]) -> Family:
    """A family whose functions read two tensors, which can be learned."""
    p, q = names
    return Family(value, slope, shapes=shapes, learned=names, tensors=lambda basis, params: (params[p], params[q]))


_FAMILIES: dict[type[Basis], Callable[[Any], Family | str]] = {RSWAF: _rswaf, Gaussian: _gaussian}
