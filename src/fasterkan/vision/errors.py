"""The exception of `fasterkan.vision`, and the message for those who lack Pillow."""

from __future__ import annotations

import importlib
from types import ModuleType


class ImageError(ValueError):
    """An image cannot be used as it is; the message names the file, what is wrong with it, and the remedy."""


def pillow(module: str) -> ModuleType:
    """Return a module of Pillow, such as "Image".

    Raises:
        ImportError: Pillow is not installed; the message has the command that installs it.
    """
    try:
        return importlib.import_module(f"PIL.{module}")
    except ModuleNotFoundError as error:
        raise ImportError('reading images needs Pillow: pip install "fasterkan[vision]"') from error
