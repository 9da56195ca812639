"""The base branch of an edge: a fixed activation of x, with one learned weight per edge."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..ops import Situation

Base = str | Callable[[Tensor], Tensor] | None
BaseInput = Literal["x", "z"]


def _identity(x: Tensor) -> Tensor:
    return x


def silu(x: Tensor) -> Tensor:
    """x sigmoid(x): torch's kernel, or the formula under transforms and in forward mode, which the kernel lacks."""
    situation = Situation.of(x)
    return x * torch.sigmoid(x) if situation.transformed or situation.dual else F.silu(x)


BASES: dict[str, Callable[[Tensor], Tensor]] = {
    "silu": silu,
    "gelu": F.gelu,
    "relu": F.relu,
    "tanh": torch.tanh,
    "identity": _identity,
}
_MODULES: dict[str, nn.Module] = {
    "silu": nn.SiLU(),
    "gelu": nn.GELU(),
    "relu": nn.ReLU(),
    "tanh": nn.Tanh(),
    "identity": nn.Identity(),
}


def resolve_base(base: Base) -> Callable[[Tensor], Tensor] | None:
    """Return the callable that `base` names; callables and None are returned as they are.

    Raises:
        TypeError, ValueError: `base` is neither a known name nor a callable.
    """
    if isinstance(base, str):
        if base not in BASES:
            raise ValueError(f"base must be None, a callable or one of {', '.join(BASES)}; got {base!r}")
        return BASES[base]
    if base is F.silu:
        return silu
    if inspect.isclass(base) or not (base is None or callable(base)):
        raise TypeError(f"base must be None, a callable or one of {', '.join(BASES)}; got {base!r}")
    return base


def base_name(base: Base) -> str | None:
    """Return the name under which `resolve_base` finds this branch again.

    Raises:
        ValueError: the callable has no name here, so it cannot be written into a configuration.
    """
    found = named_base(base)
    if found is None or isinstance(found, str):
        return found
    raise ValueError(f"base {base!r} has no name: only None and {', '.join(BASES)} can be saved")


def named_base(base: Base) -> Base:
    """Return the name of a branch if it has one; other callables and None are returned as they are."""
    if base is None or isinstance(base, str):
        return base
    for name, function in BASES.items():
        if resolve_base(base) is function:
            return name
    for name, module in _MODULES.items():
        if type(base) is type(module) and repr(base) == repr(module):  # with other arguments it is another function
            return name
    return base
