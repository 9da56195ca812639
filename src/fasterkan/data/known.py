"""Files with a known name, shape and checksum, and the data sets that consist of them."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

from fasterkan.data.errors import DataError


@dataclass(frozen=True)
class KnownFile:
    """A published IDX file of unsigned bytes.

    Attributes:
        name: name of the uncompressed file, such as "train-labels-idx1-ubyte".
        shape: the shape of its values.
        sha256: checksum of the whole decompressed file, hexadecimal.
    """

    name: str
    shape: tuple[int, ...]
    sha256: str

    @property
    def nbytes(self) -> int:
        """Size of the decompressed file in bytes: 4, plus 4 for each dimension, plus 1 for each value."""
        return 4 + 4 * len(self.shape) + math.prod(self.shape)

    def describe(self) -> str:
        """Describe the file for messages."""
        return f"{self.name}, {self.nbytes:,} bytes decompressed, sha256 {self.sha256}"

    def check(self, content: bytes, where: str) -> None:
        """Raise DataError unless the decompressed content is exactly that of this file."""
        if len(content) != self.nbytes:
            got = f"{len(content):,}" if len(content) < self.nbytes else f"more than {self.nbytes:,}"
            raise DataError(f"{where}: has {got} bytes decompressed, expected {self.nbytes:,}")
        digest = hashlib.sha256(content).hexdigest()
        if digest != self.sha256:
            raise DataError(
                f"{where}: sha256 of the decompressed file is {digest}, expected {self.sha256} "
                "(damaged, or a file of another data set with the same name)"
            )


@dataclass(frozen=True)
class ImageSource:
    """A data set of labelled images, published as four IDX files.

    Attributes:
        name: its name in `load`, and the name of its folder.
        torchvision: the folder in which torchvision keeps the same files.
        classes: the name of each label.
        train: the training files: images, labels.
        test: the test files: images, labels.
        mirrors: addresses that are tried in order. The name of a file and `.gz` are appended to each.
        package: the Debian package with these files, or "".
    """

    name: str
    torchvision: str
    classes: tuple[str, ...]
    train: tuple[KnownFile, KnownFile]
    test: tuple[KnownFile, KnownFile]
    mirrors: tuple[str, ...]
    package: str = ""
