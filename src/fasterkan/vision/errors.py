"""The exception of `fasterkan.vision`, and the message if Pillow is missing."""

from __future__ import annotations

import importlib
from types import ModuleType


class ImageError(ValueError):
    """An image cannot be used; the message names the file, the problem and how to fix it."""


def pillow(module: str) -> ModuleType:
    """Return a module of Pillow, such as "Image".

    Raises:
        ImportError: Pillow is not installed. The message has the command to install it.
    """
    try:
        return importlib.import_module(f"PIL.{module}")
    except ModuleNotFoundError as error:
        raise ImportError('reading images needs Pillow: pip install "fasterkan[vision]"') from error
