"""The situation of a call: traced by a compiler, under a transform, in forward mode or plain; and its autocast."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.autograd.forward_ad as forward_ad
from torch import Tensor

from .._torch import (
    autocast_is_active,
    forward_mode_is_active,
    is_batched_gradient,
    private_backend,
    transform_is_active,
)

_AUTOCAST_DEVICES = frozenset(
    kind
    for kind in ("cpu", "cuda", "xpu", "mps", "hpu", "maia", "mtia", "xla", private_backend())
    if torch.amp.is_autocast_available(kind)
)
"""Device types with autocast, computed once: before PyTorch 2.12 torch.compile cannot trace the function for this."""


@dataclasses.dataclass(frozen=True)
class Situation:
    """The facts that decide the path: whether the call is traced, transformed or in forward mode."""

    compiling: bool = False
    """torch.compile, torch.export or torch.jit.trace is tracing the call."""
    transformed: bool = False
    """A torch.func transform (grad, vmap, jvp, ...) is active."""
    dual: bool = False
    """An input carries a forward-mode tangent."""

    @classmethod
    def of(cls, x: Tensor, others: Iterable[Tensor | None] = ()) -> Situation:
        """Return the situation of the present call.

        Args:
            x: the input of the call.
            others: other tensors that may have derivatives; they are checked only if forward mode is active.
        """
        if torch.compiler.is_compiling() or torch.jit.is_tracing():
            return _COMPILING
        if transform_is_active() or is_batched_gradient(x):
            return _TRANSFORMED
        if forward_mode_is_active():
            known = (t for t in (x, *others) if t is not None)
            if any(forward_ad.unpack_dual(t).tangent is not None for t in known):
                return _DUAL
        return PLAIN

    @property
    def obstacle(self) -> str | None:
        """The reason why only the formula may be computed; None in a plain eager call."""
        if self is PLAIN:
            return None
        if self.compiling:
            return "the formula is traced by torch.compile, export or jit.trace"
        if self.transformed:
            return "a torch.func transform differentiates the formula itself"
        return "forward-mode derivatives follow the formula itself" if self.dual else None


PLAIN = Situation()
_COMPILING, _TRANSFORMED, _DUAL = Situation(compiling=True), Situation(transformed=True), Situation(dual=True)


def no_autocast(x: Tensor) -> AbstractContextManager[Any]:
    """Return a context without autocast on x's device; it costs nothing if autocast is already off."""
    return _NOTHING if autocast_dtype(x) is None else torch.autocast(x.device.type, enabled=False)


_NOTHING: AbstractContextManager[Any] = nullcontext()


def autocast_dtype(x: Tensor) -> torch.dtype | None:
    """Return the dtype of autocast on x's device; None if it is off, or if the device (such as meta) has none."""
    if not torch.compiler.is_compiling() and not autocast_is_active():
        return None
    kind = x.device.type
    if kind in _AUTOCAST_DEVICES and torch.is_autocast_enabled(kind):
        return torch.get_autocast_dtype(kind)
    return None


def fresh(x: Tensor, need: bool, *, graph: bool) -> Tensor:
    """Return an alias of x: connected to x's own graph, or a leaf that requires gradients if `need`."""
    return x.view_as(x) if graph else x.detach().requires_grad_(need)
