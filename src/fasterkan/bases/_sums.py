"""Accurate sums over rows."""

from __future__ import annotations

from torch import Tensor

from .._device import widest_dtype


def total(terms: Tensor, like: Tensor) -> Tensor:
    """Sum over rows (the first dimension) in the widest dtype, and reduce to the shape and dtype of `like`."""
    return terms.sum(0, dtype=widest_dtype(terms.device)).sum_to_size(like.shape).to(like.dtype)
