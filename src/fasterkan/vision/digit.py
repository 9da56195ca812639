"""Preparing a photograph or drawing of a digit as 28 x 28 pixels for a network trained on MNIST."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import Tensor

from .errors import ImageError
from .filters import grow
from .fit import fit
from .ink import Ink, find_ink
from .marks import Marks, at_edge, choose, has_inside
from .reading import Picture, read_image

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclasses.dataclass(frozen=True)
class Report:
    """What `digit_from_image` found and did."""

    size: tuple[int, int]
    """(width, height) of the image in pixels, upright."""
    box: tuple[int, int, int, int]
    """(left, top, right, bottom) of the digit in the image, in pixels; right and bottom are exclusive."""
    inverted: bool
    """Whether the paper was lighter than the ink; the image was then inverted."""
    contrast: float
    """Contrast between ink and paper, 0 to 1."""
    noise: float
    """Standard deviation of the paper's grain, in units of full ink."""
    stroke: float
    """Width of the strokes, in pixels of the 20 x 20 box."""
    steps: tuple[str, ...]
    """The steps of the preparation, in words and in order."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as values for JSON."""
        return {name: [*value] if isinstance(value, tuple) else value for name, value in vars(self).items()}


class Digit(NamedTuple):
    """A digit in the form of MNIST, with a report.

    Attributes:
        pixels: float32 [28, 28] in [0, 1]; 0 is background, 1 is full ink.
        report: what was found and done.
    """

    pixels: Tensor
    report: Report


def digit_from_image(image: str | Path | Image) -> Digit:
    """Return the digit of a photograph or drawing, prepared in the same way as the images of MNIST.

    The steps: The image is turned upright (EXIF), transparency is replaced by white or black, and the image becomes
    grey. Uneven light is divided out. The image is inverted if the paper is light, and the grain is suppressed. The
    largest mark, with the marks that belong to it, is scaled into 20 x 20 with its aspect ratio. Strokes that are
    thinner than those of MNIST are widened. The digit is shifted by whole pixels, so that its centre of mass is in the
    middle of 28 x 28.

    Args:
        image: a file, or a Pillow image in any mode; at least 8 x 8 and at most 80 million pixels.

    Raises:
        ImageError: the file is not an image, is empty, damaged, too large or too small, or has no ink.
        ImportError: Pillow is not installed.

    Source: the format of Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits".

    Example:
        >>> pixels, report = digit_from_image("seven.jpg")  # doctest: +SKIP
        >>> pixels.shape, report.inverted  # doctest: +SKIP
        (torch.Size([28, 28]), True)
    """
    picture = read_image(image)
    margin = 1 + round(0.004 * max(picture.grey.shape))
    ink = find_ink(picture.grey)
    if ink is None:
        raise ImageError(f"{picture.name} is blank: nothing in it stands out from the background")
    frame = at_edge(ink.mask)
    if frame.any():
        inner = find_ink(picture.grey, without=grow(frame.float(), 3 * margin) > 0)
        ink = inner if inner is not None and has_inside(inner.mask) else ink
    marks = choose(ink.mask, ink.strength)
    fitted = fit(ink.strength * grow(marks.mask.float(), margin))
    steps = [*picture.steps, *_said(ink, marks)]
    if fitted.widened:
        steps.append(f"widened strokes of {fitted.stroke:.1f} pixels")
    steps.append("fitted into 20 x 20, centre of mass in the middle of 28 x 28")
    return Digit(
        fitted.pixels,
        Report(
            size=picture.size,
            box=_box(marks.mask, picture),
            inverted=ink.inverted,
            contrast=round(ink.contrast, 4),
            noise=round(ink.noise, 4),
            stroke=round(fitted.stroke, 2),
            steps=tuple(steps),
        ),
    )


def _said(ink: Ink, marks: Marks) -> list[str]:
    steps = ["removed the brightness of the paper and inverted" if ink.inverted else "removed the dark background"]
    if marks.parts > 1:
        steps.append(f"joined {marks.parts} parts")
    if marks.rivals:
        steps.append(f"took the largest mark; {marks.rivals} others may be digits too")
    elif marks.dirt:
        steps.append(f"left out {marks.dirt} marks")
    return steps


def _box(mask: Tensor, picture: Picture) -> tuple[int, int, int, int]:
    """The box of the digit in pixels of the image."""
    rows, columns = (mask.any(side).nonzero().flatten().tolist() for side in (1, 0))
    scale = max(picture.size) / max(mask.shape)
    left, top, right, bottom = (round(v * scale) for v in (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1))
    return left, top, right, bottom
