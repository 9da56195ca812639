"""Data sets that are found on this machine or downloaded, and verified by checksum whenever they are read."""

from __future__ import annotations

from fasterkan.data.cifar import cifar10
from fasterkan.data.errors import DataError
from fasterkan.data.folder import image_folder
from fasterkan.data.idx import read_idx
from fasterkan.data.images import ImageDataset
from fasterkan.data.registry import is_known, load, names, train_validation_test
from fasterkan.data.sources import fashion_mnist, mnist
from fasterkan.data.special import KNOWN_FUNCTIONS, KnownFunction, known_function

__all__ = [
    "KNOWN_FUNCTIONS",
    "DataError",
    "ImageDataset",
    "KnownFunction",
    "cifar10",
    "fashion_mnist",
    "image_folder",
    "is_known",
    "known_function",
    "load",
    "mnist",
    "names",
    "read_idx",
    "train_validation_test",
]
