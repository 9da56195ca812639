"""Converting a Pillow image of any mode (palette, CMYK, 1 bit, 16 bit, alpha) to grey."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..data.pixels import FLOATING, Deep, deep_values
from .errors import pillow

if TYPE_CHECKING:
    from PIL.Image import Image

_BITS = (8, 10, 12, 14, 16)
_OPAQUE = 0.5
"""With a larger opaque share, an image is a photograph with transparent edges, not a drawing without background."""


def grey_image(image: Image) -> tuple[Image, list[str]]:
    """Return an image as luminance in [0, 1], and the steps in words.

    Integers are divided by the largest value of their type. Of more than 8 bits, it is the least of 8, 10, 12, 14, 16
    and 32 bits that hold all pixels, because files do not say how many bits a camera uses. Floating-point and negative
    values are stretched to [0, 1]. A transparent drawing is laid on white, or on black if the drawing is light. A
    picture that is mostly opaque is laid on its own median.

    Args:
        image: an image in any mode.

    Returns:
        An image of mode "F" and the same size, and the steps.
    """
    library = pillow("Image")
    if (deep := deep_values(image)) is not None:
        values, step = _wide(deep)
        return library.fromarray(values), [step]
    steps = []
    if image.mode in ("LA", "PA", "La", "RGBA", "RGBa") or "transparency" in image.info:
        visible = np.asarray(image.convert("RGBA"))
        values, ground = _laid_on_paper(visible)
        steps += [f"laid the transparent image on {ground}"] if ground else []
    else:
        rgb = image if image.mode in ("1", "L", "RGB") else image.convert("RGB")
        values = np.asarray(rgb.convert("L"))
    if image.mode not in ("1", "L", "LA", "La"):
        steps.append(f"made it grey (was {image.mode})")
    return library.fromarray(values.astype(np.float32) / 255), steps


def _wide(deep: Deep) -> tuple[np.ndarray, str]:
    """Scale values of more than 8 bits, signed ones or floating point to [0, 1]."""
    low, high = float(deep.values.min()), float(deep.values.max())
    if deep.kind == FLOATING or low < 0:
        shares, step = (deep.values - low) / max(high - low, 1e-300), f"stretched {deep.kind} to [0, 1]"
    else:
        bits = next((n for n in _BITS if high < 2**n), 32)
        shares, step = deep.values / (2**bits - 1 if bits < 32 else high), f"scaled {bits} bits"
    return (1 - shares if deep.inverted else shares).astype(np.float32), step


def _laid_on_paper(rgba: np.ndarray) -> tuple[np.ndarray, str | None]:
    """Luminance [H, W] in 0..255 of RGBA [H, W, 4] on a background that shows the drawing, and its name."""
    grey = rgba[..., :3] @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    alpha = rgba[..., 3].astype(np.float32) / 255
    share = float(alpha.mean())
    if share == 1:
        return grey, None
    if share == 0:
        return np.full_like(grey, 255), "white"
    if share > _OPAQUE:
        ground, name = float(np.median(grey[alpha > _OPAQUE])), "the colour of its paper"
    elif float((grey * alpha).sum() / alpha.sum()) > 127.5:
        ground, name = 0.0, "black"
    else:
        ground, name = 255.0, "white"
    return grey * alpha + ground * (1 - alpha), name
