"""Who is looking at a call (a compiler, a transform, forward mode, nobody), and in which autocast."""

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
"""Device types that have an autocast; asked once, since torch.compile cannot trace the question before PyTorch 2.12."""


@dataclasses.dataclass(frozen=True)
class Situation:
    """What decides the path: is somebody tracing or transforming the call?"""

    compiling: bool = False
    """torch.compile, torch.export or torch.jit.trace is looking."""
    transformed: bool = False
    """A torch.func transform (grad, vmap, jvp, ...) is active."""
    dual: bool = False
    """An input carries a forward-mode tangent."""

    @classmethod
    def of(cls, x: Tensor, others: Iterable[Tensor | None] = ()) -> Situation:
        """Look at the call at hand.

        Args:
            x: what the call is about.
            others: what else it may be differentiated by; looked at only where forward mode is active.
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
        """Why only the formula itself may be computed; None in a plain eager call."""
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
    """Return a context without autocast on x's device; entering it costs nothing where autocast is off already."""
    return _NOTHING if autocast_dtype(x) is None else torch.autocast(x.device.type, enabled=False)


_NOTHING: AbstractContextManager[Any] = nullcontext()


def autocast_dtype(x: Tensor) -> torch.dtype | None:
    """Return the dtype of autocast on x's device, None where it is off or the device (meta, say) has none."""
    if not torch.compiler.is_compiling() and not autocast_is_active():
        return None
    kind = x.device.type
    if kind in _AUTOCAST_DEVICES and torch.is_autocast_enabled(kind):
        return torch.get_autocast_dtype(kind)
    return None


def fresh(x: Tensor, need: bool, *, graph: bool) -> Tensor:
    """Return x under another identity: connected to x's own graph, or a leaf that requires gradients if `need`."""
    return x.view_as(x) if graph else x.detach().requires_grad_(need)
