"""Torch's Muon for weights with any number of dimensions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class MatrixMuon(torch.optim.Muon):
    """Muon for tensors [O, ...], each treated as a matrix [O, the rest]: kernels, and weights [O, I, K] of KAN layers.

    An update is an orthogonal matrix times sqrt(max(O, rest)) * 0.2. This is the size of an AdamW step, so the learning
    rate and the weight decay of AdamW can be used.

    Args:
        weights: tensors with at least two dimensions, dense in row-major order. Kernels may be in channels-last order.
        lr, weight_decay, momentum: as in `torch.optim.Muon`, with Nesterov momentum.

    Source: K. Jordan et al. (2024); the scale is that of J. Liu et al. (arXiv 2502.16982).
    """

    def __init__(self, weights: Sequence[nn.Parameter], *, lr: float, weight_decay: float, momentum: float) -> None:
        self._weights = list(weights)
        super().__init__(
            [nn.Parameter(_matrix(weight.detach(), weight)) for weight in self._weights],
            lr=lr,
            weight_decay=weight_decay,
            momentum=momentum,
            adjust_lr_fn="match_rms_adamw",
        )

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update the weights with their gradients."""
        for weight, matrix in zip(self._weights, self.param_groups[0]["params"], strict=True):
            matrix.grad = None if weight.grad is None else _matrix(weight.grad, weight)
        super().step(closure)


def _matrix(tensor: Tensor, weight: Tensor) -> Tensor:
    """The tensor as [O, rest], in the memory order of the weight; a weight keeps its own storage."""
    if weight.is_contiguous():
        return tensor.reshape(len(weight), -1)
    assert weight.is_contiguous(memory_format=torch.channels_last)
    return tensor.permute(0, 2, 3, 1).reshape(len(weight), -1)
