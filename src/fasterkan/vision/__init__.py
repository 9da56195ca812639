"""Preparing photographs and drawings of digits for a network trained on MNIST. Needs the extra `vision`."""

from __future__ import annotations

from .digit import Digit, Report, digit_from_image
from .errors import ImageError
from .files import find_images
from .reading import MAX_PIXELS, MIN_SIDE, Picture, read_image

__all__ = [
    "MAX_PIXELS",
    "MIN_SIDE",
    "Digit",
    "ImageError",
    "Picture",
    "Report",
    "digit_from_image",
    "find_images",
    "read_image",
]
