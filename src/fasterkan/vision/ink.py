"""Finding the ink, dark or light, without the uneven light and the grain of the paper."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .filters import blur, close, resize

_COARSE = 96
"""Longer side in pixels of the coarse picture on which the paper is estimated."""
_WINDOW = 0.35
"""As a share of the coarse picture's longer side. Anything wider is paper, not ink."""
_LEAST_CONTRAST, _LEAST_SIGNAL = 0.06, 6.0
"""The least strength of ink: as a share of the paper's brightness, and as a multiple of the grain."""
_FULL = 0.9995
"""The quantile of all pixels that counts as a full stroke. On a large sheet, a small digit has only few pixels."""
_EDGE = 0.4
"""A pixel is ink if it has at least this share of full ink."""
_STRAY = 0.15
"""If a fit of the paper leaves the range of the pixels by more than this, it is not used."""


class Ink(NamedTuple):
    """The ink of a picture.

    Attributes:
        strength: float32 [H, W], about 0 on paper and 1 in a full stroke. The grain is blurred.
        mask: bool [H, W], True where a pixel is ink.
        inverted: True if the paper was lighter than the ink.
        contrast: contrast between ink and paper, 0 to 1.
        noise: standard deviation of the grain after blurring, in units of full ink.
    """

    strength: Tensor
    mask: Tensor
    inverted: bool
    contrast: float
    noise: float


def find_ink(grey: Tensor, without: Tensor | None = None) -> Ink | None:
    """Return the ink of a grey picture, or None if there is none.

    The paper is estimated by filling every mark that is darker than its surroundings (or lighter, on a dark ground) and
    narrower than 0.35 of the picture's longer side. On light paper, the ink is 1 - grey / paper, which removes uneven
    light. On a dark ground, it is grey - ground.

    Args:
        grey: float32 [H, W] in [0, 1].
        without: bool [H, W], pixels that always count as paper; default none.
    """
    light = _light_paper(grey)
    toned = grey if light else 1 - grey
    height, width = grey.shape
    paper = _paper(toned)
    lack = (paper - toned) / (paper.clamp(min=0.02) if light else 1)
    if without is not None:
        lack = lack.masked_fill(without, 0)
    smooth = blur(lack, 0.0035 * max(height, width))
    full = float(smooth.flatten().quantile(_FULL))
    bare = smooth[smooth < full / 2]
    if full < _LEAST_CONTRAST or not bare.numel():
        return None
    level = float(bare.median())
    grain = 1.4826 * float((bare - level).abs().median())
    smooth, full = smooth - level, full - level
    if full < max(_LEAST_CONTRAST, _LEAST_SIGNAL * grain):
        return None
    noise = grain / full
    mask = smooth > max(_EDGE, 4 * noise) * full
    return Ink(smooth / full, mask, light, min(1.0, full), noise)


def _light_paper(grey: Tensor) -> bool:
    """Whether ink is darker than the paper: dark pixels then differ more from a smooth fit of the light."""
    coarse = _coarse(grey)
    rest = coarse - _smooth_fit(coarse)
    middle, low, high = (float(rest.flatten().quantile(q)) for q in (0.5, 0.005, 0.995))
    return middle - low > high - middle


def _smooth_fit(image: Tensor) -> Tensor:
    """The quadratic surface through most pixels, by least squares that give little weight to pixels far from it.

    If there is so much ink that the surface leaves the range of the pixels, the median of the picture's edge is
    returned.
    """
    height, width = image.shape
    y, x = torch.meshgrid(
        torch.linspace(-1, 1, height, dtype=torch.float64, device=image.device),
        torch.linspace(-1, 1, width, dtype=torch.float64, device=image.device),
        indexing="ij",
    )
    terms = torch.stack([torch.ones_like(x), x, y, x * x, x * y, y * y], -1).flatten(0, 1)  # [H * W, 6]
    values = image.flatten().double()
    fit = values.median().expand_as(values)
    for _ in range(8):
        far = (values - fit).abs()
        weight = 1 / (far + far.median() + 1e-3) ** 2
        moment = (terms * weight[:, None]).T @ terms
        # For a picture of one row y is constant, and the sum would be singular.
        moment += 1e-6 * moment.diagonal().max() * torch.eye(6, dtype=torch.float64, device=image.device)
        fit = terms @ torch.linalg.solve(moment, (terms * weight[:, None]).T @ values)
    if fit.min() < values.min() - _STRAY or fit.max() > values.max() + _STRAY:
        return torch.cat([image[0], image[-1], image[:, 0], image[:, -1]]).median().expand_as(image)
    return fit.view(height, width).to(image.dtype)


def _paper(toned: Tensor) -> Tensor:
    """The light paper without its ink, [H, W].

    There are two estimates. Filling the picture itself mistakes a slope at the picture's edge for ink. Filling the
    difference to a smooth surface mistakes the edge of a shadow for ink. Neither estimate is below the paper, so the
    lower of the two is used.
    """
    coarse = _coarse(toned)
    surface = _smooth_fit(coarse)
    window = 2 * max(1, round(_WINDOW * max(coarse.shape) / 2)) + 1
    paper = torch.minimum(close(coarse, window), surface + close(coarse - surface, window))
    return resize(blur(paper, window / 16), *toned.shape)


def _coarse(image: Tensor) -> Tensor:
    scale = min(1.0, _COARSE / max(image.shape))
    return resize(image, *(max(2, round(side * scale)) for side in image.shape))
