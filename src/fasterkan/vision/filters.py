"""Filters on one image [H, W] for the preparation of a picture."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def blur(image: Tensor, sigma: float) -> Tensor:
    """Return the image convolved with a Gaussian of standard deviation `sigma` in pixels; edge pixels are repeated."""
    radius = math.ceil(3 * sigma)
    if sigma < 0.2:
        return image
    at = torch.arange(-radius, radius + 1, dtype=image.dtype, device=image.device)
    weight = torch.exp(-0.5 * (at / sigma) ** 2)
    weight = weight / weight.sum()
    x = image[None, None]
    x = F.conv2d(F.pad(x, (radius, radius, 0, 0), mode="replicate"), weight.view(1, 1, 1, -1))
    return F.conv2d(F.pad(x, (0, 0, radius, radius), mode="replicate"), weight.view(1, 1, -1, 1))[0, 0]


def largest(image: Tensor, height: int, width: int) -> Tensor:
    """Return the maximum in a window of odd height and width around each pixel (dilation)."""
    x = F.max_pool2d(image[None, None], (height, 1), 1, (height // 2, 0))
    return F.max_pool2d(x, (1, width), 1, (0, width // 2))[0, 0]


def close(image: Tensor, window: int) -> Tensor:
    """Return the image without marks that are darker than their surroundings and narrower than the odd `window`."""
    return -largest(-largest(image, window, window), window, window)


def grow(image: Tensor, radius: int) -> Tensor:
    """Return the maximum in an octagon around each pixel, of the given radius in pixels."""
    for step in range(radius):
        image = largest(image, 3, 3) if step % 2 else torch.maximum(largest(image, 3, 1), largest(image, 1, 3))
    return image


def resize(image: Tensor, height: int, width: int) -> Tensor:
    """Return the image at another size, by bilinear interpolation with anti-aliasing."""
    size = (height, width)
    return F.interpolate(image[None, None], size, mode="bilinear", antialias=True, align_corners=False)[0, 0]
