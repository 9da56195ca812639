"""Files known by name, shape and checksum, and the data sets made of them."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

from fasterkan.data.errors import DataError


@dataclass(frozen=True)
class KnownFile:
    """A published IDX file of unsigned bytes.

    Attributes:
        name: its name, uncompressed, such as "train-labels-idx1-ubyte".
        shape: the shape of its values.
        sha256: checksum of the whole decompressed file, hexadecimal.
    """

    name: str
    shape: tuple[int, ...]
    sha256: str

    @property
    def nbytes(self) -> int:
        """Size of the decompressed file in bytes: four, four for each dimension, one for each value."""
        return 4 + 4 * len(self.shape) + math.prod(self.shape)

    def describe(self) -> str:
        """Say what the file is, for messages."""
        return f"{self.name}, {self.nbytes:,} bytes decompressed, sha256 {self.sha256}"

    def check(self, content: bytes, where: str) -> None:
        """Raise DataError unless the decompressed content is this file's, byte for byte."""
        if len(content) != self.nbytes:
            got = f"{len(content):,}" if len(content) < self.nbytes else f"more than {self.nbytes:,}"
            raise DataError(f"{where}: has {got} bytes decompressed, expected {self.nbytes:,}")
        digest = hashlib.sha256(content).hexdigest()
        if digest != self.sha256:
            raise DataError(
                f"{where}: sha256 of the decompressed file is {digest}, expected {self.sha256} "
                "(damaged, or another data set's file of the same name)"
            )


@dataclass(frozen=True)
class ImageSource:
    """A data set of labelled images, published as four IDX files.

    Attributes:
        name: what `load` calls it, and the name of its folder.
        torchvision: the folder in which torchvision keeps the same files.
        classes: the name of each label.
        train: the files of images and of labels to learn from.
        test: the files of images and of labels to report on.
        mirrors: addresses to which a file's name and `.gz` are appended, tried in order.
        package: the Debian package that brings the files, or "".
    """

    name: str
    torchvision: str
    classes: tuple[str, ...]
    train: tuple[KnownFile, KnownFile]
    test: tuple[KnownFile, KnownFile]
    mirrors: tuple[str, ...]
    package: str = ""
