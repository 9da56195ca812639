"""Targets of outputs: numbers, or labels of classes."""

from __future__ import annotations

from torch import Tensor

from .._device import widest_dtype


def as_targets(y: Tensor, outputs: Tensor) -> Tensor:
    """Return targets of outputs [N, O] as floating-point numbers [N, O], if that is what they are; else y itself.

    They are numbers if they have the shape of the outputs, whole ones included, or are [N] for one output. Whole
    numbers [N] for several outputs are labels.
    """
    if y.dim() == 1 and outputs.dim() == 2 and outputs.shape[1] == 1:
        y = y.unsqueeze(1)
    return y.to(widest_dtype(y.device)) if y.shape == outputs.shape and not y.is_floating_point() else y
