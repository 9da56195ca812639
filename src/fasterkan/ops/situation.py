"""Who is looking at a call (a compiler, a transform, forward mode, nobody), and in which autocast."""

from __future__ import annotations

import dataclasses
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.autograd.forward_ad as forward_ad
from torch import Tensor

_AUTOCAST_DEVICES = frozenset(
    kind
    for kind in ("cpu", "cuda", "xpu", "mps", "hpu", "maia", "mtia", "xla", torch._C._get_privateuse1_backend_name())
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
    def of(cls, *tensors: Tensor) -> Situation:
        """Look at the call at hand; `tensors` are all that it may be differentiated by."""
        if torch.compiler.is_compiling() or torch.jit.is_tracing():
            return cls(compiling=True)
        # torch has no public question for either: its own autograd.Function.apply asks the first, and the second is
        # how is_grads_batched=True and torch.autograd.functional's vectorize=True call a backward.
        functorch = torch._C._are_functorch_transforms_active()
        if functorch or any(torch._C._functorch.is_legacy_batchedtensor(t) for t in tensors):
            return cls(transformed=True)
        return cls(dual=any(forward_ad.unpack_dual(t).tangent is not None for t in tensors))


def no_autocast(x: Tensor) -> AbstractContextManager[Any]:
    """Return a context without autocast on x's device; entering it costs nothing where autocast is off already."""
    return nullcontext() if autocast_dtype(x) is None else torch.autocast(x.device.type, enabled=False)


def autocast_dtype(x: Tensor) -> torch.dtype | None:
    """Return the dtype of autocast on x's device, None where it is off or the device (meta, say) has none."""
    kind = x.device.type
    if kind in _AUTOCAST_DEVICES and torch.is_autocast_enabled(kind):
        return torch.get_autocast_dtype(kind)
    return None


def fresh(x: Tensor, need: bool, *, graph: bool) -> Tensor:
    """Return x under another identity: connected to x's own graph, or a leaf that requires gradients if `need`."""
    return x.view_as(x) if graph else x.detach().requires_grad_(need)
