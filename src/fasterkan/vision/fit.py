"""Scaling a digit as in MNIST: fitted into 20 x 20, with the centre of mass in the middle of 28 x 28."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .filters import grow, resize

SIDE, BOX = 28, 20
_MIDDLE = 14.5
"""The centre of mass of MNIST images: the middle of pixel 14, counted from 0 (the average over all images is 14.52)."""
_FINE = 8
"""Fine pixels per pixel of the box. Strokes are measured and widened on the fine pixels."""
_THIN, _WIDENED = 1.6, 2.2
"""Strokes thinner than the first width are widened to the second, in pixels of the box. MNIST has 1.7 to 4."""
_FAINT, _STRONG = 0.25, 0.9
"""Ink below the first share of a full stroke becomes 0, and ink above the second share becomes 1."""


class Fitted(NamedTuple):
    """A digit in the form of MNIST.

    Attributes:
        pixels: float32 [28, 28] in [0, 1].
        stroke: width of the strokes before they are widened, in pixels of the box.
        widened: whether they were widened.
    """

    pixels: Tensor
    stroke: float
    widened: bool


def fit(strength: Tensor) -> Fitted:
    """Return the ink of a digit, scaled, centred and normalised.

    Args:
        strength: float32 [H, W], 0 outside the digit. Pixels above 0.25 of the ink of a full stroke belong to the
            digit.
    """
    ink = strength / _full(strength)
    ink = ((ink - _FAINT) / (_STRONG - _FAINT)).clamp(0, 1)
    fine = _into_box(ink, BOX * _FINE)
    stroke = stroke_width(fine) / _FINE
    if thin := stroke < _THIN:
        radius = round((_WIDENED - stroke) / 2 * _FINE)
        fine = grow(F.pad(fine, (radius,) * 4), radius)
    small = _into_box(fine, BOX)
    small = (small / _full(small)).clamp(0, 1)
    return Fitted(_centred(small), stroke, thin)


def stroke_width(ink: Tensor) -> float:
    """Return the mean width of the strokes in pixels: twice their area, divided by the length of their outline.

    The length of the outline is the total variation, which needs no threshold. Both ends of a stroke count as outline.
    The result is therefore a little too small for short strokes.
    """
    padded = F.pad(ink, (1, 1, 1, 1))
    dy = padded[1:, :-1] - padded[:-1, :-1]
    dx = padded[:-1, 1:] - padded[:-1, :-1]
    return float(2 * ink.sum() / torch.hypot(dx, dy).sum())


def _full(ink: Tensor) -> Tensor:
    """The ink of a full stroke: a high quantile of the pixels that have ink."""
    return ink[ink > 0.3 * ink.max()].quantile(0.9)


def _into_box(ink: Tensor, box: int) -> Tensor:
    """The part with ink, scaled so that its longer side is `box`."""
    rows, columns = (ink.amax(side).nonzero().flatten() for side in (1, 0))
    part = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = box / max(part.shape)
    height, width = (max(1, round(side * scale)) for side in part.shape)
    return resize(part, height, width)


def _centred(small: Tensor) -> Tensor:
    """The box in 28 x 28, shifted by whole pixels so that its centre of mass is within half a pixel of pixel 14."""
    out = torch.zeros(SIDE, SIDE, dtype=small.dtype, device=small.device)
    corner = []
    for axis, length in enumerate(small.shape):
        along = small.sum(1 - axis)
        centre = float((along * (torch.arange(length, device=small.device) + 0.5)).sum() / along.sum())
        corner.append(min(max(0, round(_MIDDLE - centre)), SIDE - length))
    top, left = corner
    out[top : top + small.shape[0], left : left + small.shape[1]] = small
    return out
