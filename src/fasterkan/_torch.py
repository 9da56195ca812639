"""The private names of torch that this library needs, each behind a function of its own; nothing else may use one."""

from __future__ import annotations

import torch
import torch.autograd.forward_ad as forward_ad
from torch import Tensor


def transform_is_active() -> bool:
    """Return whether a torch.func transform (grad, vmap, jvp, ...) is running, as `autograd.Function.apply` asks."""
    return torch._C._are_functorch_transforms_active()


def is_batched_gradient(x: Tensor) -> bool:
    """Return whether x comes from `is_grads_batched=True` or from `torch.autograd.functional`'s `vectorize=True`."""
    return torch._C._functorch.is_legacy_batchedtensor(x)


def forward_mode_is_active() -> bool:
    """Return whether a level of forward-mode derivatives is open; only then can a tensor carry a tangent."""
    return forward_ad._current_level >= 0


def autocast_is_active() -> bool:
    """Return whether autocast is on for some type of device; one question instead of one for each type."""
    return torch._C._is_any_autocast_enabled()


def private_backend() -> str:
    """Return the name of the device type that a vendor may have given to torch's private slot."""
    return torch._C._get_privateuse1_backend_name()


def lerp_all_(starts: list[Tensor], ends: list[Tensor], weight: float) -> None:
    """Move each start towards its end by `weight`, in place and in one call."""
    torch._foreach_lerp_(starts, ends, weight)
