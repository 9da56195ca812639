"""The precision in which norms and bases are computed: float32, or float64 for numbers in float64."""

from __future__ import annotations

import torch
from torch import Tensor

_EXACT = (torch.float32, torch.float64)


def at_least_float32(x: Tensor) -> Tensor:
    """Return x itself in float32 or float64, and x in float32 for other dtypes."""
    return x if x.dtype in _EXACT else x.to(torch.promote_types(x.dtype, torch.float32))
