"""Data sets by name."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable

from fasterkan.data.errors import DataError
from fasterkan.data.images import ImageDataset
from fasterkan.data.sources import fashion_mnist, mnist

_LOADERS: dict[str, Callable[..., ImageDataset]] = {"mnist": mnist, "fashion-mnist": fashion_mnist}


def names() -> tuple[str, ...]:
    """Return the names that `load` knows."""
    return tuple(_LOADERS)


def load(
    name: str, split: str = "train", root: str | os.PathLike[str] | None = None, *, download: bool = True
) -> ImageDataset:
    """Load a data set by name.

    Args:
        name: one of `names()`; upper case and `_` for `-` are accepted.
        split: "train" or "test".
        root: a folder to look in, and only there; None: every place (see `mnist`).
        download: whether files found nowhere are downloaded into the cache.

    Raises:
        DataError: unknown name or split; a file is missing, damaged or not the published one.

    Example:
        >>> load("minst")
        Traceback (most recent call last):
        fasterkan.data.errors.DataError: unknown dataset 'minst'; did you mean 'mnist'? known: mnist, fashion-mnist
    """
    key = str(name).lower().replace("_", "-")
    if key not in _LOADERS:
        near = difflib.get_close_matches(key, _LOADERS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ";"
        raise DataError(f"unknown dataset {name!r}{hint} known: {', '.join(_LOADERS)}")
    return _LOADERS[key](split, root, download=download)


def train_validation_test(
    name: str, root: str | os.PathLike[str] | None = None, *, validation: int = 5_000, download: bool = True
) -> tuple[ImageDataset, ImageDataset, ImageDataset]:
    """Load a data set in three parts: to train on, to choose by, and to report on once.

    Args:
        name: one of `names()`.
        root: as for `load`.
        validation: how many of the last training images are held out, 1 to N - 1.
        download: as for `load`.

    Returns:
        `(train, validation, test)`; for MNIST 55,000, 5,000 and 10,000 images.

    Raises:
        DataError: as for `load`, or `validation` out of range.
    """
    train, held_out = load(name, "train", root, download=download).hold_out(validation)
    return train, held_out, load(name, "test", root, download=download)
