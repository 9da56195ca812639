"""Sparsity penalties on edge weights, for training loops of one's own."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .._check import real_number
from .linear import KANLinear


def penalty(model: nn.Module, *, l1: float = 0.0, entropy: float = 0.0) -> Tensor:
    """Return l1 * sum_layers |A| + entropy * sum_layers H(A), to be added to a loss.

    A [O, I] is the mean over k of |W[o, i, k]|, |A| its sum over edges, and H the entropy -sum p log p (natural
    logarithm) of p = A / |A|: l1 makes edges small, entropy makes few of them matter.

    Args:
        model: any module with KANLinear layers.
        l1: coefficient of |A|, not negative.
        entropy: coefficient of H, not negative.

    Returns:
        A scalar, float32 or more; gradients are finite everywhere, also at weights that are all 0.

    Raises:
        TypeError, ValueError: a coefficient is no finite number or negative, or the model has no KANLinear.

    Source: the penalty of Blealtan's efficient-KAN, which stands for that of Liu et al. (arXiv 2404.19756, eq. 2.20)
    without a pass over the data.
    """
    for name, value in (("l1", l1), ("entropy", entropy)):
        if real_number("penalty", name, value) < 0:
            raise ValueError(f"penalty: {name} must not be negative, got {value}")
    layers = [m for m in model.modules() if isinstance(m, KANLinear)]
    if not layers:
        raise ValueError(f"penalty: {type(model).__name__} has no KANLinear layer")
    total = torch.zeros((), device=layers[0].weight.device)
    for layer in layers:
        size = layer.weight.to(torch.promote_types(layer.weight.dtype, torch.float32)).abs().mean(-1)  # [O, I]
        norm = size.sum()
        tiny = torch.finfo(size.dtype).tiny ** 0.5
        share = size / (norm + tiny)
        total = total + l1 * norm - entropy * (share * torch.log(share + tiny)).sum()
    return total
