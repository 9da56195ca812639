"""The norm of KAL-Net: one minimum and one maximum for the whole batch, over all features."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from ..bases import Basis
from ..ops import at_least_float32
from .init import Distribution


@dataclasses.dataclass(frozen=True)
class BatchRange:
    """Description of z = 2 (x - min) / (max - min) - 1 with the minimum and maximum over all rows and features.

    Warning: the output of a row depends on the other rows of its batch, also in evaluation. The predictions for a row
    change with the batch size and with the other rows. One NaN makes the whole batch NaN. Edges are not functions of
    one variable. Under `torch.func.vmap` each row is a batch of its own. This norm exists to reproduce KAL-Net; use
    "layer" or "feature" for new networks.

    A batch whose numbers are all equal gives z = 0.

    Source: torchkan (KAL-Net), 2024.
    """

    def build(
        self, in_features: int, basis: Basis, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> BatchScaling:
        """Return the module for one layer."""
        return BatchScaling(self)


class BatchScaling(nn.Module):
    """The module behind `BatchRange`; it has no tensors."""

    def __init__(self, description: BatchRange) -> None:
        super().__init__()
        self.description = description

    def start(self, basis: Basis) -> Distribution:
        """Return what z looks like at initialisation: uniform on [-1, 1]."""
        return Distribution(uniform=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return z [..., I] in [-1, 1], float32 (float64 for float64)."""
        x = at_least_float32(x)
        if not x.numel():
            return x
        every = tuple(range(x.dim()))  # ONNX has no minimum without dimensions
        low, high = x.amin(every), x.amax(every)
        half = high / 2 - low / 2  # halves first: high - low may overflow
        constant = half == 0
        z = (x - (high / 2 + low / 2)) / torch.where(constant, torch.ones_like(half), half)
        return torch.where(constant, torch.zeros_like(z), z)

    def extra_repr(self) -> str:
        return str(self.description)
