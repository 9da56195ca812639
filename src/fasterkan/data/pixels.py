"""What the numbers of an image mean: which of them is white, by the type that its file names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

_BITS, _PHOTOMETRIC, _SAMPLE_FORMAT, _SUBFILE = 258, 262, 339, 254
"""Tags of TIFF. SampleFormat is 1 for whole numbers, 2 for signed ones, 3 for floating point. PhotometricInterpretation
0 says that 0 is white. Bit 0 of NewSubfileType marks a smaller copy of another page, bit 2 a mask."""
_SIGNED = 2
FLOATING = "floating point"
"""The kind of images whose white is 1."""


class Deep(NamedTuple):
    """The numbers of a grey image of more than 8 bits, or of signed ones.

    Attributes:
        values: float64 [H, W], as the file holds them.
        white: the value of white by their type: 1 for floating point, else the largest whole number.
        kind: the type in words, such as "16 bits".
        inverted: whether 0 is white.
    """

    values: np.ndarray[Any, Any]
    white: float
    kind: str
    inverted: bool


def deep_values(image: Image) -> Deep | None:
    """Return the numbers of a grey image that Pillow does not hold as 8 bits from black to white; None for the others.

    Args:
        image: an image that was just opened. The tags of a TIFF say how many bits its numbers have, and whether they
            are signed; for other files the mode of Pillow does.
    """
    tags = _tags(image)
    bits, number = tags.get(_BITS, (8,))[0], tags.get(_SAMPLE_FORMAT, (1,))[0]
    signed8 = image.mode == "L" and (bits, number) == (8, _SIGNED)
    if not (signed8 or image.mode == "F" or image.mode.startswith("I")):
        return None
    inverted = tags.get(_PHOTOMETRIC) == 0
    image.load()  # may turn a TIFF, which changes its size
    array = np.asarray(image)
    if image.mode == "F":
        return Deep(array.astype(np.float64), 1.0, FLOATING, inverted)
    if signed8:
        array = array.view(np.int8)
    elif not tags:
        bits, number = (32, _SIGNED) if image.mode == "I" and image.format not in ("PNG", "PPM") else (16, 1)
    if (bits, number) == (32, 1):
        array = array.astype(np.int32).view(np.uint32)
    white, sign = (2 ** (bits - 1) - 1, "signed ") if number == _SIGNED else (2**bits - 1, "")
    return Deep(array.astype(np.float64), float(white), f"{sign}{bits} bits", inverted)


def is_deep_colour(image: Image) -> bool:
    """Return whether the file of an image that was just opened has several channels of 16 bits.

    Pillow reads only the upper 8 of these bits.
    """
    if image.mode == "F" or image.mode.startswith("I"):
        return False
    raw = [tile[3] if isinstance(tile[3], str) else str(tile[3][0]) for tile in getattr(image, "tile", ()) if tile[3]]
    return any(";16" in mode for mode in raw)


def pages(image: Image) -> int:
    """Return the number of pages of a TIFF, without smaller copies and masks; 1 for other formats."""
    count = getattr(image, "n_frames", 1)
    if image.format != "TIFF" or count == 1:
        return 1
    own = 0
    for number in range(count):
        image.seek(number)
        own += not _tags(image).get(_SUBFILE, 0) & 0b101
    image.seek(0)
    return max(1, own)


def _tags(image: Image) -> Any:
    return getattr(image, "tag_v2", None) or {}
