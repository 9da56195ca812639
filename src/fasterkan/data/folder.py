"""Images in one folder per class, as a data set in three parts."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import torch

from fasterkan.data.decode import decode
from fasterkan.data.errors import DataError
from fasterkan.data.images import ImageDataset

SPLITS = ("train", "validation", "test")
_FOLDERS = {"train": ("train",), "validation": ("val", "validation"), "test": ("test",)}


def image_folder(
    root: str | os.PathLike[str],
    split: str = "train",
    size: tuple[int, int] | None = (28, 28),
    channels: int = 1,
) -> ImageDataset:
    """Load images sorted into one folder per class: `root/CLASS/*.png`, or `root/train/CLASS/*.png` and so on.

    If there is a folder `train` with class folders in it, then `train`, `val` (or `validation`) and `test` are the
    splits. If `val` or `test` is missing, a tenth of each class of `train` is held out for it. If there is no folder
    `train`, each class is divided 8 : 1 : 1. The SHA-256 of the file names decides which images are held out, so they
    are the same on every machine. At least one image of each class is held out.

    Files and folders whose names begin with a dot are ignored. Sub-folders of a class belong to it. Links to folders
    are not followed. A file that is not an image is an error and is never skipped.

    Args:
        root: the folder that contains the class folders, or the folders of the splits.
        split: "train", "validation" or "test".
        size: (height, width) to which every image is resized. None resizes nothing, and all images must have the same
            size.
        channels: 1 for grey, 3 for red, green, blue. Transparent parts become white, EXIF rotation is undone, and
            16-bit images become 8-bit images.

    Returns:
        Images uint8 [N, H, W] or [N, 3, H, W], in the order of the classes and file names. The classes are sorted by
        name.

    Raises:
        DataError: an argument is out of its domain; the folder does not exist; it has fewer than two classes, a class
            without an image, or two splits with different classes; a file is not an image, is too large, or has
            another size than the other images.
        ImportError: Pillow is missing.
    """
    if split not in SPLITS:
        raise DataError(f"image_folder: split is {split!r}, expected {', '.join(map(repr, SPLITS))}")
    size = _check_size(size)
    if channels not in (1, 3) or isinstance(channels, bool):
        raise DataError(f"image_folder: channels is {channels!r}, expected 1 (grey) or 3 (red, green, blue)")
    folder = Path(root)
    try:
        files = _split_files(folder, split)
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read ({error.strerror}); expected a folder of images") from error
    classes = tuple(files)
    images: list[torch.Tensor] = []
    first: Path | None = None
    for path in (path for paths in files.values() for path in paths):
        image = decode(path, size, channels)
        if images and image.shape != images[0].shape:
            raise DataError(
                f"{path}: is {_size(image)}, {first} is {_size(images[0])}; give size=(height, width) to "
                "resize all images"
            )
        images.append(image)
        first = first or path
    labels = torch.tensor([label for label, paths in enumerate(files.values()) for _ in paths])
    return ImageDataset(torch.stack(images), labels, classes, folder.resolve().name, split)


def is_folder(name: object) -> bool:
    """Whether a name is the path of an existing folder."""
    if not isinstance(name, str | os.PathLike) or not os.fspath(name):
        return False
    return os.path.isdir(name)  # noqa: PTH112 - Path.is_dir raises where a folder may not be entered


def _split_files(root: Path, split: str) -> dict[str, list[Path]]:
    """The files of a split by class."""
    if not is_folder(root):
        raise DataError(
            f"{root}: there is no such folder; expected a folder that contains a folder of images for each class"
        )
    parts = {part: folder for part in SPLITS if (folder := _sub_folder(root, part)) is not None}
    if "train" not in parts:
        parts = {"train": root}
    train = _classes(parts["train"])
    if split not in parts or split == "train":
        held = [part for part in SPLITS[1:] if part not in parts]
        return {name: _share(paths, split, held) for name, paths in train.items()}
    other = _classes(parts[split])
    if list(other) != list(train):
        raise DataError(
            f"{parts[split]}: has the classes {', '.join(other)}, but {parts['train']} has {', '.join(train)}"
        )
    return other


def _sub_folder(root: Path, part: str) -> Path | None:
    """The folder of a split, if it exists and has folders in it."""
    candidates = (root / name for name in _FOLDERS[part])
    return next((folder for folder in candidates if is_folder(folder) and _class_names(folder)), None)


def _class_names(folder: Path) -> list[str]:
    """Sorted names of the folders in a folder, without hidden folders and links."""
    with os.scandir(folder) as entries:
        return sorted(e.name for e in entries if e.is_dir(follow_symlinks=False) and not e.name.startswith("."))


def _classes(folder: Path) -> dict[str, list[Path]]:
    """The files of each class, both sorted."""
    classes = {name: _files(folder / name) for name in _class_names(folder)}
    if len(classes) < 2:
        raise DataError(
            f"{folder}: has {_count(classes)}; expected at least two folders, one for each class, with its images"
        )
    if empty := [name for name, paths in classes.items() if not paths]:
        raise DataError(f"{folder}: there is no image in {', '.join(empty)}; put images into it, or remove the folder")
    return classes


def _files(folder: Path) -> list[Path]:
    """All files below a folder, sorted, without hidden files and without links to folders (which may form a circle)."""
    found = []
    for base, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(base, name) for name in names if not name.startswith(".")]
    return sorted(found)


def _raise(error: OSError) -> None:
    raise error


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


def _count(classes: dict[str, list[Path]]) -> str:
    return f"only one class, {next(iter(classes))!r}" if classes else "no class folder"
