"""Reading an image file of any kind into one grey picture that is upright and not too large."""

from __future__ import annotations

import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from .errors import ImageError, pillow
from .grey import grey_image

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_PIXELS = 80_000_000
"""Larger images are refused. The header gives the size before the image is decoded."""
MIN_SIDE = 8
"""Least length of the shorter side, in pixels. A smaller image cannot show a digit."""
WORKING_SIDE = 640
"""Larger images are scaled down, so that their longer side has this length in pixels."""

_ORIENTATION = 0x0112
_TURNS = range(2, 9)
_HEIC = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "DIB", "TIFF", "WEBP", "AVIF", "PPM")
_REDUCIBLE = ("L", "LA", "RGB", "RGBA", "CMYK")
_DAMAGE = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""The exceptions that Pillow's decoders raise for damaged files."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A grey picture and its origin.

    Attributes:
        grey: float32 [H, W] in [0, 1]; 0 is black; H and W are at most 640.
        name: its name in messages: the path of the file, or "image".
        size: (width, height) of the upright image in pixels, before it was scaled.
        steps: the steps of the preparation, in words.
    """

    grey: Tensor
    name: str
    size: tuple[int, int]
    steps: tuple[str, ...]


def read_image(image: str | Path | Image) -> Picture:
    """Return an image as an upright grey picture without transparency and colours.

    Args:
        image: a file (PNG, JPEG, GIF, BMP, TIFF, WebP, AVIF, PPM), or a Pillow image in any mode.

    Raises:
        ImageError: the file does not exist, is empty, damaged or not an image; it has more than 80 million pixels
            (checked in the header, before anything is decoded), a side below 8 pixels, or pixels that are not finite.
        ImportError: Pillow is not installed.
    """
    if not isinstance(image, str | Path):
        name = str(getattr(image, "filename", "") or "image")
        _check_size(name, *image.size)
        with _explained(name):
            return _picture(image.copy(), name)
    name = str(image)
    _check_file(Path(image))
    # Of a path, Pillow maps the file, which mixes up the pixels of an uncompressed TIFF that is turned.
    with _explained(name), Path(image).open("rb") as file, pillow("Image").open(file, formats=_FORMATS) as opened:
        _check_size(name, *opened.size)
        return _picture(opened, name)


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turn an exception of Pillow into an `ImageError`."""
    library = pillow("Image")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except ImageError:
        raise
    except library.DecompressionBombError as error:
        pixels = re.search(r"\d+", str(error))
        raise _too_large(name, f"{int(pixels[0]):,}" if pixels else "too many") from error
    except library.UnidentifiedImageError as error:
        raise ImageError(f"{name} is not an image that can be read; {_advice(name)}") from error
    except _DAMAGE as error:
        raise ImageError(f"{name} is damaged or incomplete ({error}); copy or save it again") from error


def _picture(image: Image, name: str) -> Picture:
    """Decode an image, turn it upright, make it grey and scale it down."""
    steps = []
    if getattr(image, "is_animated", False) and image.format != "MPO":
        image.seek(0)
        steps.append("took the first frame of several")
    size = image.size
    image.draft(None, (WORKING_SIDE, WORKING_SIDE))  # a JPEG can be decoded at a fraction of its size
    orientation = image.getexif().get(_ORIENTATION, 1)
    if orientation in _TURNS:
        upright = image.format == "TIFF"  # Pillow gives the size of a TIFF as it will be shown
        image = pillow("ImageOps").exif_transpose(image)
        size = size[::-1] if orientation >= 5 and not upright else size
        steps.append("turned it as its EXIF orientation says")
    if (factor := max(image.size) // WORKING_SIDE) > 1 and image.mode in _REDUCIBLE:
        image = image.reduce(factor)  # a first step in the image's own mode needs little memory
    grey, done = grey_image(image)
    longer = max(size)
    if longer > WORKING_SIDE:
        width, height = (max(1, round(side * WORKING_SIDE / longer)) for side in size)
        grey = grey.resize((width, height), pillow("Image").Resampling.BOX)
        done.append(f"scaled {size[0]} x {size[1]} pixels down to {width} x {height}")
    values = torch.from_numpy(np.array(grey, dtype=np.float32))  # [H, W]
    if not values.isfinite().all():
        raise ImageError(f"{name} has pixels that are not finite; save it again as PNG")
    return Picture(values.clamp(0, 1), name, size, (*steps, *done))


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise ImageError(f"{path} is a folder, expected an image file")
    if not path.exists():
        raise ImageError(f"{path}: no such file")
    if not path.is_file():
        raise ImageError(f"{path} is not a regular file, expected an image file")
    if path.stat().st_size == 0:
        raise ImageError(f"{path} is empty (0 bytes); copy or save it again")


def _check_size(name: str, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise _too_large(name, f"{width:,} x {height:,}")
    if min(width, height) < MIN_SIDE:
        raise ImageError(f"{name} is {width} x {height} pixels, expected at least {MIN_SIDE} x {MIN_SIDE}")


def _too_large(name: str, size: str) -> ImageError:
    return ImageError(f"{name} has {size} pixels, at most {MAX_PIXELS:,} are read; scale it down or crop it")


def _advice(name: str) -> str:
    """Advice for a file that is not an image. Phones save HEIC, which Pillow does not read."""
    with Path(name).open("rb") as file:
        head = file.read(12)
    if head[4:8] == b"ftyp" and head[8:] in _HEIC:
        return "it is a HEIC photograph: export it as JPEG"
    return "expected PNG, JPEG, GIF, BMP, TIFF, WebP, AVIF or PPM"
