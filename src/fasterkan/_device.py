"""Where float64 is computed: on the device itself, or on the CPU if the device has no float64."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn

M = TypeVar("M")

WITHOUT_FLOAT64 = frozenset({"mps"})
"""Types of devices that cannot hold numbers in float64."""


def exact_device(device: torch.device) -> torch.device:
    """Return the device that computes in float64 for tensors of `device`: itself, or the CPU."""
    return torch.device("cpu") if device.type in WITHOUT_FLOAT64 else device


def widest_dtype(device: torch.device) -> torch.dtype:
    """Return float64, or float32 for a device without float64."""
    return torch.float32 if device.type in WITHOUT_FLOAT64 else torch.float64


def moved(x: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return x on a device and in a dtype; MPS cannot convert to float64 while it copies, so x is copied first."""
    return x.to(device).to(dtype) if dtype == torch.float64 else x.to(device, dtype)


def exact(x: Tensor) -> Tensor:
    """Return x in float64, on its device or, if the device has no float64, on the CPU."""
    return moved(x, exact_device(x.device), torch.float64)


def exact_on_cpu(x: Tensor) -> Tensor:
    """Return x in float64 on the CPU."""
    return moved(x, torch.device("cpu"), torch.float64)


def with_float64(net: M) -> M:
    """Return a network itself, or a copy on the CPU if its device has no float64."""
    if not isinstance(net, nn.Module) or all(p.device.type not in WITHOUT_FLOAT64 for p in net.parameters()):
        return net
    made = copy.deepcopy(net)
    made.cpu()
    return made
