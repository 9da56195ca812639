"""The private names of torch that this library needs, each in its own function; no other module may use them."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import torch
import torch.autograd.forward_ad as forward_ad
from torch import Tensor, nn
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm
from torch.utils._python_dispatch import _disable_current_modes

F = TypeVar("F", bound=Callable[..., Any])


def transform_is_active() -> bool:
    """Return whether a torch.func transform (grad, vmap, jvp, ...) is active, as `autograd.Function.apply` does."""
    return torch._C._are_functorch_transforms_active()


def is_batched_gradient(x: Tensor) -> bool:
    """Return whether x comes from `is_grads_batched=True` or from `torch.autograd.functional`'s `vectorize=True`."""
    return torch._C._functorch.is_legacy_batchedtensor(x)


def forward_mode_is_active() -> bool:
    """Return whether a level of forward-mode derivatives is active; only then can a tensor have a tangent."""
    return forward_ad._current_level >= 0


def autocast_is_active() -> bool:
    """Return whether autocast is on for some type of device; one question instead of one for each type."""
    return torch._C._is_any_autocast_enabled()


def private_backend() -> str:
    """Return the name of torch's private device type, which a hardware vendor may have set."""
    return torch._C._get_privateuse1_backend_name()


def dispatch_mode_is_active() -> bool:
    """Return whether a mode listens to the operations of torch: a tracer, a counter or fake tensors."""
    return torch._C._len_torch_dispatch_stack() > 0


def has_hooks(module: nn.Module) -> bool:
    """Return whether a call of the module runs hooks, in the forward or in the backward."""
    return bool(
        module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks
    )


def lerp_all_(starts: list[Tensor], ends: list[Tensor], weight: float) -> None:
    """Move each start towards its end by `weight`, in place and in one call."""
    torch._foreach_lerp_(starts, ends, weight)


def hooked_tensors(module: nn.Module) -> dict[str, str]:
    """Return the tensors that a hook computes before each forward, as {name: class of the hook}.

    These hooks are the older `torch.nn.utils.weight_norm` and `spectral_norm`, and those of `torch.nn.utils.prune`.
    """
    found = {}
    for hook in module._forward_pre_hooks.values():
        if isinstance(hook, WeightNorm | SpectralNorm):
            found[hook.name] = type(hook).__name__
        elif isinstance(hook, BasePruningMethod):
            found[hook._tensor_name] = type(hook).__name__
    return found


def compiler_is_imported() -> bool:
    """Return whether torch's compiler is imported: by `torch.compile`, or by the first gradient of torch.func.

    The import takes seconds.
    """
    return "torch._dynamo" in sys.modules


def compiler_off() -> AbstractContextManager[object]:
    """Return a context in which compiled modules run without their compiled code.

    Before the compiler is imported no module is compiled.
    """
    if compiler_is_imported():
        return torch.compiler.set_stance("force_eager")
    return contextlib.nullcontext()


def version_of(x: Tensor) -> int | None:
    """Return a number that grows with each change of x in place; None for inference tensors, which do not count."""
    return None if x.is_inference() else x._version


def is_plain(x: Tensor) -> bool:
    """Return whether x holds numbers and no mode listens: it is not traced, fake, wrapped or on the meta device."""
    return (
        type(x) is Tensor
        and not x.is_meta
        and not torch._C._len_torch_dispatch_stack()
        and not torch._C._are_functorch_transforms_active()
        and torch._C._get_tracing_state() is None
    )


def smallest_number(x: Tensor) -> int | None:
    """Return the smallest whole number in x, whatever traces, transforms or wraps it; None if x holds no numbers."""
    while torch._C._functorch.is_functorch_wrapped_tensor(x):
        x = torch._C._functorch.get_unwrapped(x)
    fake = sys.modules.get("torch._subclasses.fake_tensor")  # its import takes long, and without it nothing is fake
    if x.is_meta or (fake is not None and isinstance(x, fake.FakeTensor)):
        return None
    tracing = torch._C._get_tracing_state()
    torch._C._set_tracing_state(None)  # type: ignore[attr-defined]  # the tracer warns that a number is a constant
    try:
        with _disable_current_modes():
            return int(x.min())
    finally:
        torch._C._set_tracing_state(tracing)  # type: ignore[attr-defined]


def is_parallel_copy(module: nn.Module) -> bool:
    """Return whether a module is one of the copies that DataParallel makes for one forward and throws away."""
    return getattr(module, "_is_replica", False)


def constant_in_graphs(function: F) -> F:
    """Mark a function as `torch.compiler.assume_constant_result` does, which would import the compiler: seconds."""
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function
