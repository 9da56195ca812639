"""Accurate sums over rows."""

from __future__ import annotations

import torch
from torch import Tensor


def total(terms: Tensor, like: Tensor) -> Tensor:
    """Sum over rows (the first dimension) in float64, and reduce to the shape and dtype of `like`."""
    exact = terms.dtype if terms.device.type == "mps" else torch.float64  # MPS has no float64
    return terms.sum(0, dtype=exact).sum_to_size(like.shape).to(like.dtype)
