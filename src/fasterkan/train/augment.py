"""Random affine maps of images: small shifts, turns, stretches and slants."""

from __future__ import annotations

import dataclasses
import math

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """How far images are moved; each amount is drawn uniformly from -limit to limit, for each image anew.

    Args:
        shift: pixels, on each axis.
        rotate: degrees.
        scale: logarithm of the stretch, on each axis.
        shear: horizontal pixels for each vertical one.
    """

    shift: float = 0.0
    rotate: float = 0.0
    scale: float = 0.0
    shear: float = 0.0

    def __bool__(self) -> bool:
        """Whether it changes an image at all."""
        return any(dataclasses.astuple(self))

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Return matrices [count, 2, 3] for `warp`, float32.

        Each is [R S + H | t]: with turn a, stretches e, f and shear h, the point (x, y) of the new image is taken from
        (e (x cos a - y sin a) + h y + t_x, f (x sin a + y cos a) + t_y) of the old one.
        """
        a, e, f, h, across, down = (torch.rand(6, count, generator=generator) * 2 - 1).unbind()
        a = a * (self.rotate * math.pi / 180)
        e, f, h = (e * self.scale).exp(), (f * self.scale).exp(), h * self.shear
        x = torch.stack((e * a.cos(), h - e * a.sin(), across * self.shift), -1)
        y = torch.stack((f * a.sin(), f * a.cos(), down * self.shift), -1)
        return torch.stack((x, y), 1)


def warp(images: Tensor, matrices: Tensor) -> Tensor:
    """Return images whose point p = (x, y) is point A (x, y, 1) of the given ones, interpolated; 0 outside.

    Args:
        images: [B, H, W], floating point.
        matrices: A [B, 2, 3]; x runs right, y down, both in pixels from the image's middle.

    Returns:
        [B, H, W]; whole pixels of shift move values exactly, up to rounding.
    """
    count, height, width = images.shape
    y, x = torch.meshgrid(_axis(height, images), _axis(width, images), indexing="ij")
    points = torch.stack((x, y, torch.ones_like(x))).flatten(1)  # [3, H * W]
    source = (matrices.flatten(0, 1).to(images) @ points).view(count, 2, height, width)  # [B, 2, H, W], pixels
    halves = torch.tensor((width / 2, height / 2), device=images.device, dtype=images.dtype)
    grid = source.permute(0, 2, 3, 1) / halves  # [B, H, W, 2], from -1 to 1 between the image's edges
    return F.grid_sample(images.unsqueeze(1), grid, align_corners=False).squeeze(1)


def _axis(size: int, like: Tensor) -> Tensor:
    """Coordinates of `size` pixel centres, the middle being 0."""
    return torch.arange(size, device=like.device, dtype=like.dtype) - (size - 1) / 2
