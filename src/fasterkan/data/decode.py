"""Reading one image file into a tensor. Only this module needs Pillow."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from fasterkan.data.errors import DataError

if TYPE_CHECKING:
    from PIL import Image

MAX_PIXELS = 50_000_000
"""Larger images are refused. The header gives the size before anything is decoded: a small file can contain a huge
image."""


def decode(path: Path, size: tuple[int, int] | None, channels: int) -> torch.Tensor:
    """Read one image.

    Args:
        path: a file in any format that Pillow reads. The first frame of an animation is used.
        size: (height, width) to which the image is resized. None leaves the size as it is.
        channels: 1 for grey [H, W], 3 for colour [3, H, W].

    Returns:
        A uint8 tensor.

    Raises:
        DataError: the file is not an image, cannot be read or decoded, or has more than `MAX_PIXELS`.
        ImportError: Pillow is missing.
    """
    pil = _pillow()
    if not os.path.isfile(path):  # noqa: PTH113 - reading a pipe would block, and a broken link has no content
        raise DataError(f"{path}: is not a regular file (perhaps a pipe or a broken link); move it away")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns about size (our limit is lower) and odd metadata
            with pil.open(path) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise DataError(
                        f"{path}: is {image.height:,} x {image.width:,} pixels, at most {MAX_PIXELS:,} are decoded; "
                        "make it smaller"
                    )
                pixels = _upright(image).convert("L" if channels == 1 else "RGB")
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
    return array if channels == 1 else array.permute(2, 0, 1).contiguous()


def _upright(image: Image.Image) -> Image.Image:
    """The image turned as its EXIF says, with 8 bits per channel and without transparency, on white."""
    from PIL import Image, ImageOps

    turned = ImageOps.exif_transpose(image)
    if turned.mode.startswith("I") or turned.mode == "F":
        values = np.nan_to_num(np.asarray(turned, dtype=np.float64))
        if turned.mode.startswith("I;16") or values.max(initial=0) > 255:
            values = values / 257
        turned = Image.fromarray(values.clip(0, 255).round().astype(np.uint8))
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
