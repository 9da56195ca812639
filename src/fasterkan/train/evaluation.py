"""Evaluating a classifier on labelled images."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .._device import exact_on_cpu
from ..data import ImageDataset


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The result of `evaluate`."""

    accuracy: float
    """Share of images for which the output of the label is the highest, 0 to 1."""
    loss: float
    """Mean cross-entropy in nats."""
    confusion: tuple[tuple[int, ...], ...]
    """Number of images by label (row) and prediction (column)."""

    @property
    def rows(self) -> int:
        """Number of images."""
        return sum(map(sum, self.confusion))

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as values for JSON, with the number of images."""
        return {
            "accuracy": self.accuracy,
            "loss": self.loss,
            "rows": self.rows,
            "confusion": [*map(list, self.confusion)],
        }


@torch.no_grad()
def evaluate(model: nn.Module, data: ImageDataset, *, batch_size: int = 1000) -> Evaluation:
    """Return loss, accuracy and confusion matrix of a model on labelled images.

    The model runs in evaluation mode and in the precision of its parameters. Afterwards each module has its former
    mode.

    Args:
        model: takes [B, H * W] in [0, 1] and returns logits [B, C]. It may be on any device.
        data: the images.
        batch_size: number of images in a forward pass. It changes the result only by rounding.

    Raises:
        ValueError: there is no image, or the number of outputs is not the number of classes.
    """
    if len(data) == 0:
        raise ValueError(f"evaluate: {data!r} has no image")
    like = next(model.parameters(), torch.empty(0, dtype=torch.float32, device="cpu"))
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        logits = [_logits(model, images, like) for images in data.images.split(batch_size)]
    finally:
        for module, training in modes:
            module.training = training
    scores = torch.cat(logits)  # [N, C]
    classes = data.num_classes
    if scores.shape[1] != classes:
        raise ValueError(f"evaluate: the model has {scores.shape[1]} outputs, {data.name} has {classes} classes")
    confusion = torch.bincount(data.labels * classes + scores.argmax(1), minlength=classes**2).view(classes, classes)
    return Evaluation(
        accuracy=int(confusion.trace()) / len(data),
        loss=float(F.cross_entropy(scores, data.labels)),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
    )


def _logits(model: nn.Module, images: Tensor, like: Tensor) -> Tensor:
    return exact_on_cpu(model(images.to(like.device).flatten(1).to(torch.float32).div_(255).to(like.dtype)))
