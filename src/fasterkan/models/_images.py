"""The common part of models for images: the argument image_size, and the shape of a batch."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .._check import whole_number
from ..ops import autocast_dtype


def height_width(owner: str, image_size: object) -> tuple[int, int]:
    """Return (H, W) from one number for both, or from two numbers.

    Raises:
        TypeError, ValueError: image_size is neither.
    """
    if not isinstance(image_size, list | tuple):
        side = whole_number(owner, "image_size", image_size, 1)
        return side, side
    if len(image_size) != 2:
        raise ValueError(f"{owner}: image_size must be one number or (height, width), got {image_size!r}")
    height, width = (whole_number(owner, f"image_size[{i}]", s, 1) for i, s in enumerate(image_size))
    return height, width


def as_images(owner: str, x: Tensor, image: tuple[int, int, int], weight: Tensor) -> tuple[Tensor, torch.Size]:
    """Return the images in x as [N, C, H, W], and the leading shape of x.

    Args:
        owner: the model, for messages.
        x: [..., C, H, W] or [..., C * H * W].
        image: (C, H, W).
        weight: a parameter of the model; without autocast x must have its dtype.

    Raises:
        TypeError, ValueError: x is not a tensor, or has another dtype or shape.
    """
    if not isinstance(x, Tensor):
        raise TypeError(f"{owner}: x must be a tensor, got {type(x).__name__}; convert it with torch.as_tensor(x)")
    if not x.is_floating_point():
        raise TypeError(f"{owner}: x is {x.dtype}, floating point is needed; for bytes use x.float() / 255")
    if x.dtype != weight.dtype and autocast_dtype(x) is None:
        raise TypeError(f"{owner}: x is {x.dtype}, the weights are {weight.dtype}; use x.to({weight.dtype})")
    if x.shape[-3:] == image:
        leading = x.shape[:-3]
    elif x.dim() and x.shape[-1] == math.prod(image):
        leading = x.shape[:-1]
    else:
        raise ValueError(
            f"{owner}: x is {tuple(x.shape)}, expected [..., {math.prod(image)}] or [..., {', '.join(map(str, image))}]"
        )
    return x.reshape(-1, *image), leading


def check_outputs(owner: str, layers_hidden: object) -> tuple[int, ...]:
    """Return the widths after the features of an image as ints, one or more.

    Raises:
        TypeError, ValueError: layers_hidden is not a list of whole numbers, or is empty.
    """
    if not isinstance(layers_hidden, list | tuple):
        raise TypeError(f"{owner}: layers_hidden must be a list of widths such as [64, 10], got {layers_hidden!r}")
    if not layers_hidden:
        raise ValueError(
            f"{owner}: layers_hidden needs at least the number of outputs, such as [64, 10]; got {layers_hidden}"
        )
    return tuple(whole_number(owner, f"layers_hidden[{i}]", w, 1) for i, w in enumerate(layers_hidden))
