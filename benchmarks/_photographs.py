"""MNIST digits as photographs of 200 x 300 pixels: dark ink on light paper, grain, off-centre, uneven light."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageFilter

WIDTH, HEIGHT = 200, 300


def photograph(digit: np.ndarray, rng: np.random.Generator) -> Image.Image:
    """Return a photograph of a digit.

    Args:
        digit: uint8 [28, 28], light ink on black, as MNIST has it.
        rng: chooses size (the 28 x 28 frame becomes 90 to 180 pixels), place, light, colours, blur and grain.
    """
    side = int(rng.integers(90, 181))
    large = Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC)
    left, top = int(rng.integers(0, WIDTH - side + 1)), int(rng.integers(0, HEIGHT - side + 1))
    layer = Image.new("L", (WIDTH, HEIGHT))
    layer.paste(large, (left, top))
    ink = np.asarray(layer.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.2))), dtype=np.float32) / 255  # [H, W]
    paper = np.array([rng.uniform(0.75, 1), rng.uniform(0.75, 0.98), rng.uniform(0.65, 0.95)], dtype=np.float32)
    pen = np.array(rng.choice([[0.1, 0.1, 0.12], [0.1, 0.15, 0.5], [0.25, 0.25, 0.27]]), dtype=np.float32)
    scene = paper * (1 - ink[..., None]) + pen * ink[..., None]  # [H, W, 3]
    seen = scene * _light(rng)[..., None] + rng.normal(0, rng.uniform(0.01, 0.05), scene.shape)
    return Image.fromarray((np.clip(seen, 0, 1) * 255).astype(np.uint8))


def _light(rng: np.random.Generator) -> np.ndarray:
    """A gradient in any direction down to 0.45 of the full light, and a soft spot."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    angle = rng.uniform(0, 2 * math.pi)
    along = (x - WIDTH / 2) / WIDTH * math.cos(angle) + (y - HEIGHT / 2) / HEIGHT * math.sin(angle)
    along = (along - along.min()) / (along.max() - along.min())
    gradient = 1 - rng.uniform(0.2, 0.55) * along
    far = np.hypot(x - rng.uniform(0, WIDTH), y - rng.uniform(0, HEIGHT)) / HEIGHT
    return gradient * (1 - 0.15 * np.clip(far, 0, 1))
