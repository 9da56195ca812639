"""Where the ink is: the light of the scene and the paper's grain taken away, dark or light ink alike."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .filters import blur, close, resize

_COARSE = 96
"""Longer side in pixels at which the paper is estimated."""
_WINDOW = 0.35
"""Of the coarse picture's longer side: what is wider is paper, not ink."""
_LEAST_CONTRAST, _LEAST_SIGNAL = 0.06, 6.0
"""Ink is at least this much of the paper's brightness, and this many times the grain."""
_FULL = 0.9995
"""The quantile of all pixels that is a full stroke: of a small digit on a large sheet only few are ink."""
_EDGE = 0.4
"""A pixel is ink from this share of the full ink on."""
_STRAY = 0.15
"""A fit of the paper that leaves the range of the pixels by more is none."""


class Ink(NamedTuple):
    """How much ink lies where.

    Attributes:
        strength: float32 [H, W], about 0 on paper and 1 in a full stroke, with the grain blurred away.
        mask: bool [H, W], the pixels that count as ink.
        inverted: True where the paper was lighter than the ink.
        contrast: of the ink against the paper, 0 to 1.
        noise: the grain's standard deviation in units of full ink, after blurring.
    """

    strength: Tensor
    mask: Tensor
    inverted: bool
    contrast: float
    noise: float


def find_ink(grey: Tensor, without: Tensor | None = None) -> Ink | None:
    """Return the ink of a grey picture, None where there is none.

    The paper is what remains of the picture when everything darker and narrower than 0.35 of its longer side is filled
    (light paper), or everything lighter (dark ground). On paper, ink is 1 - grey / paper, free of uneven light; on a
    dark ground it is grey - ground.

    Args:
        grey: float32 [H, W] in [0, 1].
        without: bool [H, W], pixels that count as paper whatever they look like; default none.
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
    """Whether ink is darker than the paper: the longer tail about a smooth fit of the light."""
    coarse = _coarse(grey)
    rest = coarse - _smooth_fit(coarse)
    middle, low, high = (float(rest.flatten().quantile(q)) for q in (0.5, 0.005, 0.995))
    return middle - low > high - middle


def _smooth_fit(image: Tensor) -> Tensor:
    """The quadratic surface through most pixels, by least squares reweighted against those far from it.

    Where so much is ink that it leaves the range of the pixels: the median of the picture's edge.
    """
    height, width = image.shape
    y, x = torch.meshgrid(
        torch.linspace(-1, 1, height, dtype=torch.float64),
        torch.linspace(-1, 1, width, dtype=torch.float64),
        indexing="ij",
    )
    terms = torch.stack([torch.ones_like(x), x, y, x * x, x * y, y * y], -1).flatten(0, 1)  # [H * W, 6]
    values = image.flatten().double()
    fit = values.median().expand_as(values)
    for _ in range(8):
        far = (values - fit).abs()
        weight = 1 / (far + far.median() + 1e-3) ** 2
        moment = (terms * weight[:, None]).T @ terms
        moment += 1e-6 * moment.diagonal().max() * torch.eye(6, dtype=torch.float64)  # a picture of one row has no y
        fit = terms @ torch.linalg.solve(moment, (terms * weight[:, None]).T @ values)
    if fit.min() < values.min() - _STRAY or fit.max() > values.max() + _STRAY:
        return torch.cat([image[0], image[-1], image[:, 0], image[:, -1]]).median().expand_as(image)
    return fit.view(height, width).to(image.dtype)


def _paper(toned: Tensor) -> Tensor:
    """The light paper without its ink, [H, W].

    Filling alone takes a slope at the picture's edge for ink, filling what a smooth surface leaves takes the edge of a
    shadow for some; neither lies below the paper, so the lower of the two is it.
    """
    coarse = _coarse(toned)
    surface = _smooth_fit(coarse)
    window = 2 * max(1, round(_WINDOW * max(coarse.shape) / 2)) + 1
    paper = torch.minimum(close(coarse, window), surface + close(coarse - surface, window))
    return resize(blur(paper, window / 16), *toned.shape)


def _coarse(image: Tensor) -> Tensor:
    scale = min(1.0, _COARSE / max(image.shape))
    return resize(image, *(max(2, round(side * scale)) for side in image.shape))
