"""Reading one image file into a tensor. Only this module needs Pillow."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from fasterkan.data.errors import DataError
from fasterkan.data.pixels import FLOATING, Deep, deep_values, is_deep_colour, pages

if TYPE_CHECKING:
    from PIL import Image

MAX_PIXELS = 50_000_000
"""Larger images are refused. The header gives the size before anything is decoded: a small file can contain a huge
image."""

_DEEP_COLOUR = "16 bits for each colour"
_ORIENTATION = 0x0112
_ROUNDING = 1e-6
"""Floating-point values that lie outside by less than this share of white are rounded to black and white."""


class Brightness(NamedTuple):
    """The largest value of an image of more than 8 bits whose white was taken from its type."""

    path: Path
    value: float
    white: float
    kind: str

    @property
    def share(self) -> float:
        """The largest value as a share of white."""
        return self.value / self.white


class Decoded(NamedTuple):
    """An image of 8 bits, uint8 [H, W] or [3, H, W], and its brightness if its white was taken from its type."""

    pixels: torch.Tensor
    brightness: Brightness | None


def decode(path: Path, size: tuple[int, int] | None, channels: int, white: float | None = None) -> Decoded:
    """Read one image.

    Args:
        path: a file in any format that Pillow reads. The first frame of an animation is used.
        size: (height, width) to which the image is resized. None leaves the size as it is.
        channels: 1 for grey [H, W], 3 for colour [3, H, W].
        white: the value of white in grey images of more than 8 bits or of signed ones. None takes it from their type:
            1 for floating point, else the largest number of as many bits.

    Raises:
        DataError: the file is not an image, cannot be read or decoded, has several pages or more than `MAX_PIXELS`; or
            a number in it is not finite, negative or above white.
        ImportError: Pillow is missing.
    """
    pil = _pillow()
    if not os.path.isfile(path):  # noqa: PTH113 - reading a pipe would block, and a broken link has no content
        raise DataError(f"{path}: is not a regular file (perhaps a pipe or a broken link); move it away")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns about size (our limit is lower) and odd metadata
            # Of a path, Pillow maps the file, which mixes up the pixels of an uncompressed TIFF that is turned.
            with path.open("rb") as file, pil.open(file) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise DataError(
                        f"{path}: is {image.height:,} x {image.width:,} pixels, at most {MAX_PIXELS:,} are decoded; "
                        "make it smaller"
                    )
                found, brightness = _eight_bits(image, path, white)
                pixels = _upright(found).convert("L" if channels == 1 else "RGB")
    except pil.UnidentifiedImageError as error:
        raise DataError(f"{path}: is not an image that Pillow knows; convert it to PNG, or move it away") from error
    except pil.DecompressionBombError as error:
        raise DataError(
            f"{path}: is far larger than {MAX_PIXELS:,} pixels and is not decoded; make it smaller"
        ) from error
    except DataError:
        raise
    except (OSError, SyntaxError, ValueError, EOFError) as error:  # Pillow's decoders raise these for damaged files
        raise DataError(f"{path}: cannot be decoded ({error}); save it again, or move it away") from error
    if size is not None and pixels.size != (size[1], size[0]):
        pixels = pixels.resize((size[1], size[0]), pil.Resampling.BILINEAR, reducing_gap=3.0)
    array = torch.from_numpy(np.array(pixels, dtype=np.uint8))  # [H, W] or [H, W, 3]
    return Decoded(array if channels == 1 else array.permute(2, 0, 1).contiguous(), brightness)


def check_brightness(found: list[Brightness]) -> None:
    """Raise DataError if no image of a data set is brighter than a quarter of white, which was taken from their type.

    Such images hold fewer bits than their type, for example 12 bits in a file of 16: what is white, the files do not
    say.
    """
    if not found or (brightest := max(found, key=lambda each: each.share)).share > 0.25 or brightest.value == 0:
        return
    path, value, white, kind = brightest
    full, own = f"{white:.10g}", _told(value if kind == FLOATING else 2 ** int(value).bit_length() - 1, kind)
    about = (
        f"{path}: is the brightest of {len(found)} images of more than 8 bits, and its largest value is "
        f"{_told(value, kind)}, where white would be {full} ({kind}). "
    )
    if kind == _DEEP_COLOUR:
        raise DataError(
            f"{about}Only the upper 8 bits of such files can be read; save them with 8 bits a channel, or give "
            f"white={full} (--white {full}) if they are as dark as that"
        )
    raise DataError(
        f"{about}The files do not say how many bits are used; say which value is white, such as white={own} "
        f"(--white {own}), or white={full} if they are as dark as that"
    )


def _eight_bits(image: Image.Image, path: Path, white: float | None) -> tuple[Image.Image, Brightness | None]:
    """The image with 8 bits per channel, and its brightness if white is not given."""
    from PIL import Image

    if (count := pages(image)) > 1:
        raise DataError(f"{path}: has {count} pages, one image is expected; save each page as a file of its own")
    if is_deep_colour(image):
        if white not in (None, 65535):
            raise DataError(
                f"{path}: has {_DEEP_COLOUR}, of which only the upper 8 can be read, and white={white:g} cannot be "
                "used; save it with 8 bits a channel"
            )
        largest = max(high for _, high in _extrema(image.convert("RGB"))) * 257.0
        return image, Brightness(path, largest, 65535.0, _DEEP_COLOUR) if white is None else None
    deep = deep_values(image)
    if deep is None:
        return image, None
    full = deep.white if white is None else white
    values = _checked(deep, path, full)
    shares = (values / full).clip(0, 1)  # only rounding errors lie outside
    levels = ((1 - shares if deep.inverted else shares) * 255).round().astype(np.uint8)
    clear = image.info.get("transparency")
    if isinstance(clear, int | float):  # the value that a PNG of 16 bits declares transparent
        levels[values == clear] = 255
    made = Image.fromarray(levels)
    turned = Image.Exif()
    turned[_ORIENTATION] = image.getexif().get(_ORIENTATION, 1)
    made.info["exif"] = turned.tobytes()
    brightness = Brightness(path, float(values.max(initial=0)), full, deep.kind) if white is None else None
    return made, brightness


def _checked(deep: Deep, path: Path, white: float) -> np.ndarray[Any, Any]:
    """The values if they are finite and lie between 0 and white; else raise DataError."""
    values, spare = deep.values, _ROUNDING * white if deep.kind == FLOATING else 0.0
    if odd := int(np.count_nonzero(~np.isfinite(values))):
        raise DataError(f"{path}: has {odd:,} pixels that are NaN or infinite; fill them, or move it away")
    low, high = float(values.min(initial=0)), float(values.max(initial=0))
    if low < -spare:
        raise DataError(
            f"{path}: has negative pixels down to {low:g} ({deep.kind}); shift the values of all images so that black "
            "is 0, and save them again"
        )
    if high > white + spare:
        told = _told(high, deep.kind)
        raise DataError(
            f"{path}: has pixels up to {told} ({deep.kind}), where {white:.10g} is white; say which value is white in "
            f"all images, such as white={told} (--white {told})"
        )
    return values


def _told(value: float, kind: str) -> str:
    """The value in a message: a whole number exactly, another one to the digits that `_ROUNDING` allows."""
    return f"{value:.7g}" if kind == FLOATING else f"{value:.10g}"


def _extrema(image: Image.Image) -> list[tuple[int, int]]:
    found: Any = image.getextrema()
    return list(found)


def _upright(image: Image.Image) -> Image.Image:
    """The image turned as its EXIF says and without transparency, on white."""
    from PIL import Image, ImageOps

    turned = ImageOps.exif_transpose(image)
    if turned.has_transparency_data:
        turned = turned.convert("RGBA")
        turned = Image.alpha_composite(Image.new("RGBA", turned.size, "white"), turned)
    return turned


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError('reading image files needs Pillow: pip install "fasterkan[vision]"') from error
    return Image
