"""Images in one folder per class, as a data set in three parts."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Sequence
from pathlib import Path

import torch

from fasterkan.data.decode import Brightness, check_brightness, decode
from fasterkan.data.errors import DataError
from fasterkan.data.images import ImageDataset
from fasterkan.data.splits import SPLITS, Classes, splits_of


def image_folder(
    root: str | os.PathLike[str],
    split: str = "train",
    size: tuple[int, int] | None = (28, 28),
    channels: int = 1,
    white: float | None = None,
) -> ImageDataset:
    """Load images sorted into one folder per class: `root/CLASS/*.png`, or `root/train/CLASS/*.png` and so on.

    Folders named train, validation and test that hold class folders are the splits. Case, separators and endings do not
    matter (`Training_set`), and val, valid and dev stand for validation. Eval stands for validation, or for test if
    there is another folder for validation. All splits must have the same classes. If validation or test is missing, a
    tenth of each class of train is held out for it. If no folder is a split, each class is divided 8 : 1 : 1. The
    SHA-256 of the file names decides which images are held out, so they are the same on every machine. At least one
    image of each class is held out.

    Files and folders that are hidden, or that operating systems add (`__MACOSX`, `Thumbs.db`), are ignored. Sub-folders
    of a class with images belong to it. Links to folders are not followed. A file that is not an image is an error and
    is never skipped.

    Images are stored with 8 bits. The numbers of a file become shares of white, times 255, rounded: white is 255 for 8
    bits, 65,535 for 16 bits, and so on by the type that the file names; floating-point images lie in [0, 1]. All images
    of a type have the same scale.

    Args:
        root: the folder that contains the class folders, or the folders of the splits.
        split: "train", "validation" or "test".
        size: (height, width) to which every image is resized. None resizes nothing, and all images must have the same
            size.
        channels: 1 for grey, 3 for red, green, blue. Transparent parts become white, EXIF rotation is undone, and of an
            animation the first frame is used.
        white: the value of white in all grey images of 16 or 32 bits, of signed numbers or of floating point, such as
            4095 for 12 bits in files of 16.

    Returns:
        Images uint8 [N, H, W] or [N, 3, H, W], in the order of the classes and file names. The classes are sorted by
        name.

    Raises:
        DataError: an argument is out of its domain; the folder does not exist, or its folders are neither splits nor
            classes; it has fewer than two classes, a class without an image, or two splits with different classes; a
            file is not an image, is too large, has several pages, or has another size than the other images; a pixel
            is NaN, negative or above white; or all images of more than 8 bits are darker than a quarter of white,
            because then they may have fewer bits: give `white`.
        ImportError: Pillow is missing.
    """
    if split not in SPLITS:
        raise DataError(f"image_folder: split is {split!r}, expected {', '.join(map(repr, SPLITS))}")
    return load_splits(root, (split,), size, channels, white)[0]


def load_splits(
    root: str | os.PathLike[str],
    splits: Sequence[str],
    size: tuple[int, int] | None,
    channels: int,
    white: float | None,
) -> list[ImageDataset]:
    """Return some splits of a folder of images; arguments and errors as in `image_folder`."""
    size = _check_size(size)
    if channels not in (1, 3) or isinstance(channels, bool):
        raise DataError(f"image_folder: channels is {channels!r}, expected 1 (grey) or 3 (red, green, blue)")
    number = isinstance(white, int | float) and not isinstance(white, bool)
    if white is not None and not (number and 0 < white < math.inf):
        raise DataError(f"image_folder: white is {white!r}, expected a number above 0")
    folder = Path(root)
    try:
        parts = splits_of(folder)
        files = [_files_of(parts, split) for split in splits]
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read ({error.strerror}); expected a folder of images") from error
    deep: list[Brightness] = []
    images = [_read(part, size, channels, white, deep) for part in files]
    check_brightness(deep)
    return [
        ImageDataset(stack, labels, tuple(part), folder.resolve().name, split)
        for (stack, labels), part, split in zip(images, files, splits, strict=True)
    ]


def _read(
    files: Classes, size: tuple[int, int] | None, channels: int, white: float | None, deep: list[Brightness]
) -> tuple[torch.Tensor, torch.Tensor]:
    """The images and labels of one split; the brightness of the images of more than 8 bits is added to `deep`."""
    images: list[torch.Tensor] = []
    first: Path | None = None
    for path in (path for paths in files.values() for path in paths):
        image, brightness = decode(path, size, channels, white)
        if images and image.shape != images[0].shape:
            raise DataError(
                f"{path}: is {_size(image)}, {first} is {_size(images[0])}; give size=(height, width) to "
                "resize all images"
            )
        images.append(image)
        deep += [brightness] if brightness is not None else []
        first = first or path
    labels = torch.tensor([label for label, paths in enumerate(files.values()) for _ in paths], device="cpu")
    return torch.stack(images), labels


def _files_of(parts: dict[str, Classes], split: str) -> Classes:
    """The files of a split by class; a split that is missing gets a share of the training images."""
    if split in parts and split != "train":
        return parts[split]
    held = [part for part in SPLITS[1:] if part not in parts]
    return {name: _share(paths, split, held) for name, paths in parts["train"].items()}


def _share(paths: Sequence[Path], split: str, held: Sequence[str]) -> list[Path]:
    """The files of one class that belong to a split: each split in `held` gets a tenth, and "train" gets the rest."""
    if len(paths) <= len(held):
        raise DataError(
            f"{paths[0].parent}: {len(paths)} images are too few to divide into {', '.join(('train', *held))}; "
            f"at least {len(held) + 1} are needed. Add images, or make the folders train, val and test"
        )
    order = sorted(paths, key=lambda path: (hashlib.sha256(os.fsencode(path.name)).digest(), path))
    tenth = max(1, round(len(order) / 10))
    if split == "train":
        return sorted(order[len(held) * tenth :])
    start = held.index(split) * tenth
    return sorted(order[start : start + tenth])


def _check_size(size: object) -> tuple[int, int] | None:
    if size is None:
        return None
    if isinstance(size, list | tuple) and len(size) == 2 and all(type(n) is int and 0 < n <= 4096 for n in size):
        return size[0], size[1]
    raise DataError(f"image_folder: size is {size!r}, expected (height, width), each from 1 to 4096, or None")


def _size(image: torch.Tensor) -> str:
    return " x ".join(map(str, image.shape[-2:]))
