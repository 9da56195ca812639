"""Augmenting images: random shifts, rotations, scalings and shears, and smooth elastic deformations."""

from __future__ import annotations

import dataclasses
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from .config import TrainConfig

_NODE = 7
"""Distance in pixels between two nodes of an elastic deformation."""


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """The limits of the augmentation; each image gets its own amounts, drawn uniformly from -limit to limit.

    Args:
        shift: pixels, on each axis.
        rotate: degrees.
        scale: logarithm of the scale factor, on each axis.
        shear: horizontal pixels per vertical pixel.
        elastic: pixels, on each axis, by which the nodes of a coarse grid move. The pixels between them follow
            smoothly.
    """

    shift: float = 0.0
    rotate: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    elastic: float = 0.0

    def __bool__(self) -> bool:
        """Whether any limit is not 0."""
        return any(dataclasses.astuple(self))

    @classmethod
    def of(cls, config: TrainConfig) -> Augmentation:
        """Return the augmentation of a configuration."""
        return cls(**{field.name: getattr(config, field.name) for field in dataclasses.fields(cls)})

    def apply(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return floating-point images [B, H, W] or [B, C, H, W], each changed by its own random map."""
        matrices = self.draw(len(images), generator).to(images.device)
        if not self.elastic:
            return warp(images, matrices)
        return warp(images, matrices, self.draw_bends(images, generator))

    def draw_bends(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return displacements [B, 2, H, W] in pixels, x before y, on the images' device and in their dtype.

        The nodes have a distance of about 7 pixels and move by up to `elastic`. Between them the interpolation is
        cubic.
        """
        height, width = images.shape[-2:]
        nodes = (2, max(2, round(height / _NODE) + 1), max(2, round(width / _NODE) + 1))
        moves = _signed(generator, len(images), *nodes) * self.elastic
        return F.interpolate(moves.to(images), (height, width), mode="bicubic", align_corners=True)

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Return matrices [count, 2, 3] for `warp`, float32.

        With rotation a, scale factors e and f, shear h and shift t, the pixel (x, y) of the new image comes from the
        point (e (x cos a - y sin a) + h y + t_x, f (x sin a + y cos a) + t_y) of the old image.
        """
        a, e, f, h, across, down = _signed(generator, 6, count).unbind()
        a = a * (self.rotate * math.pi / 180)
        e, f, h = (e * self.scale).exp(), (f * self.scale).exp(), h * self.shear
        x = torch.stack((e * a.cos(), h - e * a.sin(), across * self.shift), -1)
        y = torch.stack((f * a.sin(), f * a.cos(), down * self.shift), -1)
        return torch.stack((x, y), 1)


def warp(images: Tensor, matrices: Tensor, bends: Tensor | None = None) -> Tensor:
    """Return images whose pixel p = (x, y) comes from the point A (x, y, 1) + bend(p) of the given images.

    Values between pixels are interpolated. Values outside the images are 0.

    Args:
        images: [B, H, W] or [B, C, H, W], floating point.
        matrices: A [B, 2, 3]. x points right and y points down, both in pixels from the middle of the image.
        bends: [B, 2, H, W] in pixels, x before y. None is 0.

    Returns:
        Images in the shape of `images`. A shift by whole pixels moves values exactly, up to rounding.
    """
    count, (height, width) = len(images), images.shape[-2:]
    y, x = torch.meshgrid(_axis(height, images), _axis(width, images), indexing="ij")
    points = torch.stack((x, y, torch.ones_like(x))).flatten(1)  # [3, H * W]
    source = (matrices.flatten(0, 1).to(images) @ points).view(count, 2, height, width)  # [B, 2, H, W], pixels
    if bends is not None:
        source = source + bends
    halves = torch.tensor((width / 2, height / 2), device=images.device, dtype=images.dtype)
    grid = source.permute(0, 2, 3, 1) / halves  # [B, H, W, 2], from -1 to 1 between the image's edges
    if images.dim() == 4:
        return F.grid_sample(images, grid, align_corners=False)
    return F.grid_sample(images.unsqueeze(1), grid, align_corners=False).squeeze(1)


def _signed(generator: torch.Generator, *shape: int) -> Tensor:
    """Numbers drawn from U(-1, 1), on the generator's device."""
    return torch.rand(shape, generator=generator, dtype=torch.float32, device=generator.device) * 2 - 1


def _axis(size: int, like: Tensor) -> Tensor:
    """Coordinates of `size` pixel centres, with 0 in the middle."""
    return torch.arange(size, device=like.device, dtype=like.dtype) - (size - 1) / 2
