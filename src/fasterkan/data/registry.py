"""Data sets by name."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable
from pathlib import Path

from fasterkan.data.cifar import cifar10
from fasterkan.data.errors import DataError
from fasterkan.data.folder import image_folder, load_splits
from fasterkan.data.images import ImageDataset
from fasterkan.data.sources import fashion_mnist, mnist
from fasterkan.data.splits import SPLITS, is_folder

_LOADERS: dict[str, Callable[..., ImageDataset]] = {"mnist": mnist, "fashion-mnist": fashion_mnist, "cifar10": cifar10}


def names() -> tuple[str, ...]:
    """Return the names that `load` knows. `load` also takes the path of a folder of images."""
    return tuple(_LOADERS)


def load(
    name: str | os.PathLike[str],
    split: str = "train",
    root: str | os.PathLike[str] | None = None,
    *,
    download: bool = True,
    size: tuple[int, int] | None = (28, 28),
    channels: int = 1,
    white: float | None = None,
) -> ImageDataset:
    """Load a data set by name.

    Args:
        name: one of `names()`, or the path of a folder that holds a folder of images for each class (see
            `image_folder`). Names are not case-sensitive, and `_` may stand for `-`. `cifar-10` is accepted too. A
            known name comes first, so write `./mnist` for a folder with that name.
        split: "train" or "test"; for a folder of images also "validation".
        root: the only folder to search. None searches every place (see `mnist`). The path of a folder of images is
            relative to `root`.
        download: whether missing files are downloaded into the cache.
        size: size of the images of a folder, as in `image_folder`.
        channels: channels of the images of a folder, as in `image_folder`.
        white: value of white in the images of a folder, as in `image_folder`.

    Raises:
        DataError: the name is neither known nor a folder; the split is unknown; a file is missing, damaged or not the
            published one; or `white` is given for a known data set.

    Example:
        >>> load("minst")
        Traceback (most recent call last):
        fasterkan.data.errors.DataError: unknown dataset 'minst'; did you mean 'mnist'? known: mnist, fashion-mnist, \
cifar10, or the path of a folder of images
    """
    if (loader := _loader(name, white)) is not None:
        return loader(split, root, download=download)
    return image_folder(_folder(name, root), split, size, channels, white)


def train_validation_test(
    name: str | os.PathLike[str],
    root: str | os.PathLike[str] | None = None,
    *,
    validation: int = 5_000,
    download: bool = True,
    size: tuple[int, int] | None = (28, 28),
    channels: int = 1,
    white: float | None = None,
) -> tuple[ImageDataset, ImageDataset, ImageDataset]:
    """Load a data set in three parts: for training, for choices, and for one final test.

    Args:
        name: as for `load`.
        root: as for `load`.
        validation: the number of training images that are held out, from the end, 1 to N - 1. A folder of images has
            its own validation split.
        download: as for `load`.
        size: as for `load`.
        channels: as for `load`.
        white: as for `load`.

    Returns:
        `(train, validation, test)`; for MNIST 55,000, 5,000 and 10,000 images.

    Raises:
        DataError: as for `load`, or `validation` is out of range.
    """
    loader = _loader(name, white)
    if loader is None:
        train, held_out, test = load_splits(_folder(name, root), SPLITS, size, channels, white)
        return train, held_out, test
    train, held_out = loader("train", root, download=download).hold_out(validation)
    return train, held_out, loader("test", root, download=download)


def is_known(name: object) -> bool:
    """Whether a name is that of a known data set, not of a folder."""
    return _loader(name) is not None


def _loader(name: object, white: float | None = None) -> Callable[..., ImageDataset] | None:
    key = str(name).lower().replace("_", "-")
    found = _LOADERS.get({"cifar-10": "cifar10"}.get(key, key))
    if found is not None and white is not None:
        raise DataError(f"white={white!r} is for a folder of images; the images of {name} have 8 bits, leave it out")
    return found


def _folder(name: str | os.PathLike[str], root: str | os.PathLike[str] | None) -> Path:
    """The folder of images that a name stands for."""
    if is_folder(name):
        below = Path(root or "", name)
        return below if is_folder(below) else Path(name)
    if root is not None and name and is_folder(below := Path(root, str(name))):
        return below
    near = difflib.get_close_matches(str(name).lower().replace("_", "-"), _LOADERS, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ";"
    raise DataError(f"unknown dataset {name!r}{hint} known: {', '.join(_LOADERS)}, or the path of a folder of images")
