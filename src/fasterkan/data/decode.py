"""One image file as a tensor; the only place that needs Pillow."""

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
"""Larger images are refused by their header, before a byte is decoded: a small file can announce a huge one."""


def decode(path: Path, size: tuple[int, int] | None, channels: int) -> torch.Tensor:
    """Read one image.

    Args:
        path: a file in any format that Pillow reads; of an animation the first frame.
        size: (height, width) to which it is resized; None leaves it.
        channels: 1 for grey [H, W], 3 for colour [3, H, W].

    Returns:
        A uint8 tensor.

    Raises:
        DataError: the file is no image, cannot be read or decoded, or has more than `MAX_PIXELS`.
        ImportError: Pillow is missing.
    """
    pil = _pillow()
    if not os.path.isfile(path):  # noqa: PTH113 - a pipe would be waited for, a link to nothing has no content
        raise DataError(f"{path}: is no file (a pipe, or a link to nothing?); move it away")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own, about size (ours is lower) and about odd metadata
            with pil.open(path) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise DataError(
                        f"{path}: is {image.height:,} x {image.width:,} pixels, more than {MAX_PIXELS:,} are not "
                        "decoded; make it smaller"
                    )
                pixels = _upright(image).convert("L" if channels == 1 else "RGB")
    except pil.UnidentifiedImageError as error:
        raise DataError(f"{path}: is no image that Pillow knows; convert it to PNG, or move it away") from error
    except pil.DecompressionBombError as error:
        raise DataError(
            f"{path}: is far larger than {MAX_PIXELS:,} pixels, it is not decoded; make it smaller"
        ) from error
    except DataError:
        raise
    except (OSError, SyntaxError, ValueError, EOFError) as error:  # what Pillow's decoders raise for damaged files
        raise DataError(f"{path}: cannot be decoded ({error}); save it anew, or move it away") from error
    if size is not None and pixels.size != (size[1], size[0]):
        pixels = pixels.resize((size[1], size[0]), pil.Resampling.BILINEAR, reducing_gap=3.0)
    array = torch.from_numpy(np.array(pixels, dtype=np.uint8))  # [H, W] or [H, W, 3]
    return array if channels == 1 else array.permute(2, 0, 1).contiguous()


def _upright(image: Image.Image) -> Image.Image:
    """Turned as its EXIF says, 8 bits a channel, opaque on white."""
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
