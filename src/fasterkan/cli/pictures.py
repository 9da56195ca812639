"""Reading the images that `fasterkan predict` gets: as digits, or as the run on a folder of images read its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from ..data import DataError, is_known
from ..data.decode import decode
from ..train import RunFolder, TrainConfig
from ..vision import ImageError, digit_from_image, find_images

_SIDE = 28


@dataclasses.dataclass(frozen=True)
class Picture:
    """An image for a model."""

    path: Path
    pixels: Tensor
    """float32 [28, 28] in [0, 1]."""
    about: dict[str, Any]
    """What was found and done, for JSON."""
    steps: tuple[str, ...]
    """The steps of the preparation, in words."""


@dataclasses.dataclass(frozen=True)
class Reader:
    """How the images for a model are read, and the names of its classes."""

    config: TrainConfig | None = None
    """The configuration of a run on a folder of images; None if images are read as digits."""
    classes: tuple[str, ...] = ()
    """The names of the classes; empty if they are numbers."""
    note: str = ""
    """What the user should know, or nothing."""

    def name(self, number: int) -> str | int:
        """Return the name of a class, or its number."""
        return self.classes[number] if self.classes else number

    def read(self, words: Sequence[str]) -> tuple[list[Picture], list[str]]:
        """Return the images of files, folders and globs, and the error messages for those that cannot be read."""
        pictures, problems = [], []
        for word in words:
            try:
                paths = find_images(word)
            except ImageError as error:
                problems.append(str(error))
                continue
            for path in paths:
                try:
                    pictures.append(self._picture(path))
                except (DataError, ImageError) as error:
                    problems.append(str(error))
                except ImportError as error:
                    raise ValueError(str(error)) from error
        return pictures, problems

    def _picture(self, path: Path) -> Picture:
        if self.config is None:
            pixels, report = digit_from_image(path)
            return Picture(path, pixels, report.to_dict(), report.steps)
        levels = decode(path, (_SIDE, _SIDE), 1, self.config.white).pixels
        steps = (f"read as in training: made it grey and resized it to {_SIDE} x {_SIDE}",)
        return Picture(path, levels.float() / 255, {"steps": list(steps)}, steps)


def reader_of(folder: Path) -> Reader:
    """Return how the images for the model in a folder are read.

    Raises:
        RunFolderError: a file of the run is damaged.
    """
    run = RunFolder(folder)
    if not run.is_run() or (config := run.load_config()).dataset == "mnist":
        return Reader()
    if is_known(config.dataset):
        note = f"the model was trained on {config.dataset}, not on mnist; its classes are shown as numbers"
        return Reader(note=note)
    classes = tuple((run.load_result() or {}).get("classes", ()))
    note = "" if classes else "the run does not say the names of its classes; they are shown as numbers"
    return Reader(config, classes, note)
