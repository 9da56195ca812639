"""Choosing the marks on the paper that are the digit."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .components import label

_LEAST = 0.1
"""A mark inside the picture is preferred to marks at its edge, if it has this share of the picture's longer side."""
_PART = 0.03
"""A mark with a smaller share of the digit's ink is dirt."""
_NEAR = 0.2
"""A mark within this distance, as a share of the digit's longer side, is a part of it, such as the bar of a 5."""
_RIVAL = 0.3
"""A mark further away with at least this share of the digit's ink is reported."""


class Marks(NamedTuple):
    """The marks of the digit, and the number of other marks.

    Attributes:
        mask: bool [H, W], the pixels of the digit.
        parts: number of marks that form the digit.
        dirt: number of marks that were left out.
        rivals: number of left-out marks that are large enough to be digits.
    """

    mask: Tensor
    parts: int
    dirt: int
    rivals: int


class _Parts:
    """The marks of a mask, with their boxes and sizes."""

    def __init__(self, mask: Tensor) -> None:
        self.labels = label(mask.numpy())
        self.count = int(self.labels.max())
        self.boxes = _boxes(self.labels, self.count)
        height, width = self.labels.shape
        ends = self.boxes[:, 2:] == (height, width)
        self.edge = ((self.boxes[:, :2] == 0) | ends).any(1)
        self.longer = (self.boxes[:, 2:] - self.boxes[:, :2]).max(1)
        self.inside = ~self.edge & (self.longer >= _LEAST * max(height, width))

    def select(self, chosen: npt.NDArray[np.bool_]) -> Tensor:
        """The pixels of the chosen marks, bool [H, W]."""
        return torch.from_numpy(np.concatenate([[False], chosen])[self.labels])


def at_edge(mask: Tensor) -> Tensor:
    """Return the marks that touch the picture's edge, bool [H, W], such as a desk, a finger or a ruled line."""
    parts = _Parts(mask)
    return parts.select(parts.edge)


def has_inside(mask: Tensor) -> bool:
    """Whether a mark as large as a digit is completely inside the picture."""
    return bool(_Parts(mask).inside.any())


def choose(mask: Tensor, strength: Tensor) -> Marks:
    """Return the digit: the mark with the most ink, if possible not at the edge, and the marks close to it.

    Args:
        mask: bool [H, W] with at least one pixel set.
        strength: float32 [H, W], the ink.
    """
    parts = _Parts(mask)
    edge, boxes, count = parts.edge, parts.boxes, parts.count
    ink = np.bincount(parts.labels.ravel(), strength.clamp(min=0).numpy().ravel(), count + 1)[1:]
    main = int((ink * parts.inside if parts.inside.any() else ink).argmax())
    gaps = np.maximum(boxes[:, :2] - boxes[main, 2:], boxes[main, :2] - boxes[:, 2:]).max(1)
    kept = (ink >= _PART * ink[main]) & (gaps <= _NEAR * parts.longer[main]) & (~edge | edge[main])
    kept[main] = True
    rivals = ~kept & ~edge & (ink >= _RIVAL * ink[main])
    return Marks(parts.select(kept), int(kept.sum()), count - int(kept.sum()), int(rivals.sum()))


def _boxes(labels: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    """Top, left, bottom, right (exclusive) of each part, [count, 4]."""
    rows, columns = np.nonzero(labels)
    which = labels[rows, columns] - 1
    boxes = np.full((count, 4), -1, dtype=np.int64)
    boxes[:, :2] = np.iinfo(np.int64).max
    np.minimum.at(boxes[:, 0], which, rows)
    np.minimum.at(boxes[:, 1], which, columns)
    np.maximum.at(boxes[:, 2], which, rows + 1)
    np.maximum.at(boxes[:, 3], which, columns + 1)
    return boxes
