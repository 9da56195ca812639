"""CIFAR-10, from the published binary archive or from its unpacked folder."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from fasterkan.data.download import download_verified
from fasterkan.data.errors import DataError
from fasterkan.data.idx import read_raw
from fasterkan.data.images import ImageDataset
from fasterkan.data.places import cache_folder, search_folders

_CHANNELS, _SIDE = 3, 32
_RECORD = 1 + _CHANNELS * _SIDE * _SIDE  # one label, then the red, the green and the blue plane, row by row
_FOLDER = "cifar-10-batches-bin"


@dataclass(frozen=True)
class CifarSource:
    """A data set of 32 x 32 colour images, published as one gzipped tar archive of binary files.

    Attributes:
        name: its name in `load`, and the name of its folder.
        archive: name of the archive. Its files are in the folder `cifar-10-batches-bin`.
        nbytes: size of the archive.
        sha256: checksum of the archive, hexadecimal.
        train: the checksum of each training file, by name, in order.
        test: the checksum of each test file, by name, in order.
        rows: number of images in each file.
        classes: the name of each label.
        mirrors: addresses that are tried in order. The name of the archive is appended to each.
    """

    name: str
    archive: str
    nbytes: int
    sha256: str
    train: Mapping[str, str]
    test: Mapping[str, str]
    rows: int
    classes: tuple[str, ...]
    mirrors: tuple[str, ...]

    def check_archive(self, content: bytes, where: str) -> bytes:
        """Return the archive's bytes, or raise DataError unless they are the published ones."""
        if len(content) != self.nbytes:
            got = f"{len(content):,}" if len(content) < self.nbytes else f"more than {self.nbytes:,}"
            raise DataError(f"{where}: has {got} bytes, expected {self.nbytes:,}")
        _check(content, self.sha256, where)
        return content


CIFAR10 = CifarSource(
    name="cifar10",
    archive="cifar-10-binary.tar.gz",
    nbytes=170_052_171,
    sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",  # md5 c32a1d4ab5d03f1284b67883e8d87530
    train={
        "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
        "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
        "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
        "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
        "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    },
    test={"test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"},
    rows=10_000,
    classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    mirrors=(
        "https://www.cs.toronto.edu/~kriz/",
        "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/",
    ),
)


def cifar10(split: str = "train", root: str | os.PathLike[str] | None = None, *, download: bool = True) -> ImageDataset:
    """Load CIFAR-10: 32 x 32 colour images in ten classes, 50,000 for training and 10,000 for the test.

    Source: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images" (2009); no licence is stated.

    Args:
        split: "train" or "test".
        root: a folder with `cifar-10-binary.tar.gz`, or with the files `data_batch_1.bin` and so on. These files may
            also be in a sub-folder `cifar-10-batches-bin`. If `root` is given, no other folder is searched and nothing
            is downloaded. Default: the places of `mnist`. The archive is read in memory and not unpacked to the disk.
        download: whether a missing archive is downloaded into the cache (170 MB).

    Returns:
        Images uint8 [N, 3, 32, 32], channels red, green, blue, in the published order.

    Raises:
        DataError: unknown split; a file is missing, damaged or not the published one.
    """
    return load_cifar(CIFAR10, split, root, download)


def load_cifar(source: CifarSource, split: str, root: str | os.PathLike[str] | None, download: bool) -> ImageDataset:
    """Load one split of a source; the arguments are those of `cifar10`."""
    if split not in ("train", "test"):
        raise DataError(f"{source.name}: split is {split!r}, expected 'train' or 'test'")
    files = source.train if split == "train" else source.test
    parts = [_parse(content, source, where) for where, content in _find(source, files, root, download)]
    images, labels = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
    return ImageDataset(images, labels, source.classes, source.name, split)


def _find(
    source: CifarSource, files: Mapping[str, str], root: str | os.PathLike[str] | None, download: bool
) -> list[tuple[str, bytes]]:
    """(where, verified content) of each file, from the first place that has the archive or the first file."""
    folders = search_folders(source.name, _FOLDER, root)
    for folder in (place for base in folders for place in (base, base / _FOLDER)):
        archive = folder / source.archive
        if os.path.isfile(archive):  # noqa: PTH113 - Path.is_file raises where a folder may not be entered
            return _members(_read(source, archive, source.nbytes, source.check_archive), archive, files)
        if os.path.isfile(folder / next(iter(files))):  # noqa: PTH113
            return [(str(folder / name), _unpacked(source, folder / name, digest)) for name, digest in files.items()]
    missing = f"{source.name}: found neither {source.archive} nor {next(iter(files))}"
    if root is None and download:
        target = cache_folder() / source.name
        try:
            limit = source.nbytes + 1
            content = download_verified(source.archive, source.mirrors, target, limit, source.check_archive)
        except DataError as error:
            raise DataError(f"{missing}\n  downloading failed: {error}{_advice(source, folders)}") from error
        return _members(content, target / source.archive, files)
    raise DataError(f"{missing}{_advice(source, folders)}, or call with download=True and no root")


def _unpacked(source: CifarSource, path: Path, digest: str) -> bytes:
    """One file of the unpacked folder, verified by its own checksum."""

    def check(content: bytes, where: str) -> bytes:
        _check(content, digest, where)
        return content

    return _read(source, path, source.rows * _RECORD, check)


def _read(source: CifarSource, path: Path, limit: int, verify: Callable[[bytes, str], bytes]) -> bytes:
    """Read and verify a file; `limit` prevents a hostile file from filling the memory."""
    try:
        return verify(read_raw(path, limit), str(path))
    except DataError as error:
        raise DataError(f"{error}\n  to fix it: move the file away, then {_remedy(source)}") from error


def _check(content: bytes, sha256: str, where: str) -> None:
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        raise DataError(f"{where}: sha256 is {digest}, expected {sha256} (damaged, or another file with the same name)")


def _members(archive: bytes, path: Path, files: Mapping[str, str]) -> list[tuple[str, bytes]]:
    """The named files of an archive in memory."""
    found = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
            for member in tar:
                name = member.name.rpartition("/")[2]
                if name in files and (stream := tar.extractfile(member)) is not None:
                    found[name] = stream.read()
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: cannot be unpacked ({error}); expected a gzipped tar archive") from error
    if absent := [name for name in files if name not in found]:
        raise DataError(f"{path}: does not hold {', '.join(absent)}")
    return [(f"{path}:{name}", found[name]) for name in files]


def _parse(content: bytes, source: CifarSource, where: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Images [rows, 3, 32, 32] and labels [rows] of one file."""
    expected = source.rows * _RECORD
    if len(content) != expected:
        raise DataError(
            f"{where}: has {len(content):,} bytes, expected {expected:,}: {source.rows:,} records of {_RECORD}"
        )
    records = torch.frombuffer(bytearray(content), dtype=torch.uint8).view(source.rows, _RECORD)
    labels = records[:, 0].long()
    if int(labels.max()) >= len(source.classes):
        raise DataError(f"{where}: has a label {int(labels.max())}, expected 0 to {len(source.classes) - 1}")
    return records[:, 1:].reshape(-1, _CHANNELS, _SIDE, _SIDE), labels


def _advice(source: CifarSource, folders: Sequence[Path]) -> str:
    return (
        f"\n  looked in: {', '.join(map(str, folders))}, and {_FOLDER} in each"
        f"\n  expected: {source.archive}, {source.nbytes:,} bytes, sha256 {source.sha256}"
        f"\n  to get it: {_remedy(source)}"
    )


def _remedy(source: CifarSource) -> str:
    return f"save {source.mirrors[0]}{source.archive} there"
