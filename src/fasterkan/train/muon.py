"""Torch's Muon for weights of any number of dimensions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class MatrixMuon(torch.optim.Muon):
    """Muon on tensors [O, ...], each seen as a matrix [O, the rest]: kernels, and the weights [O, I, K] of a KAN layer.

    An update is orthogonal times sqrt(max(O, rest)) * 0.2, the size of an AdamW step, so that AdamW's learning rate
    and decay suit it.

    Args:
        weights: two dimensions or more, dense in row-major order or, kernels, in channels-last order.
        lr, weight_decay, momentum: as in `torch.optim.Muon`; Nesterov's.

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
        """Move the weights by their gradients."""
        for weight, matrix in zip(self._weights, self.param_groups[0]["params"], strict=True):
            matrix.grad = None if weight.grad is None else _matrix(weight.grad, weight)
        super().step(closure)


def _matrix(tensor: Tensor, weight: Tensor) -> Tensor:
    """The tensor as [O, rest], in the order in which the weight lies in memory: of a weight, its own storage."""
    if weight.is_contiguous():
        return tensor.reshape(len(weight), -1)
    assert weight.is_contiguous(memory_format=torch.channels_last)
    return tensor.permute(0, 2, 3, 1).reshape(len(weight), -1)
