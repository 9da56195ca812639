from __future__ import annotations

import hashlib
import io
import random
import re
import tarfile
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from fasterkan.data import DataError, cifar10
from fasterkan.data.cifar import CIFAR10, CifarSource, load_cifar

from ..seeds import seed_of

FOLDER = "cifar-10-batches-bin"
ROWS = 3


def pack(contents: dict[str, bytes], folder: str = FOLDER) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        entry = tarfile.TarInfo(folder)
        entry.type = tarfile.DIRTYPE
        tar.addfile(entry)
        for name, content in contents.items():
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


@dataclass
class Small:
    source: CifarSource
    archive: bytes
    contents: dict[str, bytes]

    def write(self, folder: Path, *, unpacked: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if unpacked:
            for name, content in self.contents.items():
                (folder / name).write_bytes(content)
        else:
            (folder / self.source.archive).write_bytes(self.archive)

    def with_archive(self, archive: bytes) -> Small:
        """The same data set, published as another archive."""
        digest = hashlib.sha256(archive).hexdigest()
        return Small(replace(self.source, nbytes=len(archive), sha256=digest), archive, self.contents)


@pytest.fixture
def small() -> Small:
    rng = random.Random(seed_of(0))
    names = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
    contents = {name: b"".join(bytes([rng.randrange(10)]) + rng.randbytes(3072) for _ in range(ROWS)) for name in names}
    contents["batches.meta.txt"] = b"airplane\n"
    digests = {name: hashlib.sha256(contents[name]).hexdigest() for name in names}
    test = {"test_batch.bin": digests.pop("test_batch.bin")}
    source = replace(CIFAR10, train=digests, test=test, rows=ROWS, mirrors=("http://127.0.0.1:9/",))
    return Small(source, b"", contents).with_archive(pack(contents))


PLACES = ["checkout/data/cifar10", "work/data/cifar10", "cache/fasterkan/cifar10", "system/cifar10"]


@pytest.mark.parametrize("unpacked", [False, True], ids=["archive", "unpacked"])
@pytest.mark.parametrize("place", [*PLACES, f"{PLACES[0]}/{FOLDER}"])
def test_finds_it_in(small: Small, machine: Path, place: str, unpacked: bool) -> None:
    small.write(machine / place, unpacked=unpacked)
    assert len(load_cifar(small.source, "train", None, download=False)) == 5 * ROWS


@pytest.mark.parametrize("unpacked", [False, True], ids=["archive", "unpacked"])
@pytest.mark.parametrize("folder", ["", "cifar10", FOLDER, f"cifar10/{FOLDER}"])
def test_finds_it_in_a_root(small: Small, machine: Path, folder: str, unpacked: bool) -> None:
    small.write(machine / "mine" / folder, unpacked=unpacked)
    assert len(load_cifar(small.source, "test", machine / "mine", download=False)) == ROWS
    assert sorted(path.name for path in (machine / "work").iterdir()) == []


@pytest.mark.parametrize("unpacked", [False, True], ids=["archive", "unpacked"])
def test_records_are_a_label_and_three_planes(small: Small, machine: Path, unpacked: bool) -> None:
    small.write(machine, unpacked=unpacked)
    data = load_cifar(small.source, "train", machine, download=False)
    assert (data.images.shape, data.images.dtype) == ((15, 3, 32, 32), torch.uint8)
    assert repr(data) == "ImageDataset(cifar10, train: 15 images of 3 x 32 x 32, 10 classes)"
    for row in range(15):
        record = small.contents[f"data_batch_{row // ROWS + 1}.bin"][row % ROWS * 3073 :]
        assert int(data.labels[row]) == record[0]
        for channel, y, x in ((0, 0, 0), (1, 2, 3), (2, 31, 31)):
            assert int(data.images[row, channel, y, x]) == record[1 + channel * 1024 + y * 32 + x]
    assert data.as_float().shape == (15, 3072)
    assert data.as_float(flat=False).shape == (15, 3, 32, 32)


def test_downloads_the_archive_into_the_cache(small: Small, mirror) -> None:
    mirror.put("good/cifar-10-binary.tar.gz", small.archive)
    source = replace(small.source, mirrors=(f"{mirror.url}bad/", f"{mirror.url}good/"))
    for _ in range(2):
        assert len(load_cifar(source, "test", None, download=True)) == ROWS
    assert mirror.asked == ["bad/cifar-10-binary.tar.gz", "good/cifar-10-binary.tar.gz"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        pytest.param(lambda data: data[:-1], "has [0-9,]+ bytes, expected", id="truncated"),
        pytest.param(lambda data: data + b"\0" * 9, "has more than [0-9,]+ bytes, expected", id="trailing"),
        pytest.param(lambda data: data[:-9] + b"\0" + data[-8:], "sha256 is [0-9a-f]{64}, expected", id="byte"),
        pytest.param(lambda data: b"", "has 0 bytes", id="empty"),
    ],
)
def test_a_damaged_archive_is_named(small: Small, machine: Path, damage, message: str) -> None:
    small.archive = damage(small.archive)
    small.write(machine)
    with pytest.raises(DataError, match=message) as caught:
        load_cifar(small.source, "train", machine, download=True)
    assert str(caught.value).startswith(str(machine / "cifar-10-binary.tar.gz"))
    assert str(caught.value).endswith(
        "to fix it: move the file away, then save http://127.0.0.1:9/cifar-10-binary.tar.gz there"
    )


def test_a_damaged_or_missing_unpacked_file_is_named(small: Small, machine: Path) -> None:
    small.write(machine, unpacked=True)
    third = machine / "data_batch_3.bin"
    third.write_bytes(b"\0" + small.contents["data_batch_3.bin"][1:-1] + b"\1")
    with pytest.raises(DataError, match=r"data_batch_3.bin: sha256 is"):
        load_cifar(small.source, "train", machine, download=False)
    third.unlink()
    with pytest.raises(DataError, match=r"data_batch_3.bin: there is no such file"):
        load_cifar(small.source, "train", machine, download=False)
    assert len(load_cifar(small.source, "test", machine, download=False)) == ROWS


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"data_batch_2.bin": None}, "does not hold data_batch_2.bin", id="file-missing"),
        pytest.param(
            {"data_batch_2.bin": b"x" * 3073}, "has 3,073 bytes, expected 9,219: 3 records of 3073", id="short"
        ),
        pytest.param({"data_batch_2.bin": b"\x0a" * 9219}, "has a label 10, expected 0 to 9", id="label"),
    ],
)
def test_an_archive_of_other_content(small: Small, machine: Path, change: dict, message: str) -> None:
    contents = {name: content for name, content in {**small.contents, **change}.items() if content is not None}
    other = small.with_archive(pack(contents))
    other.write(machine)
    with pytest.raises(DataError, match=re.escape(message)):
        load_cifar(other.source, "train", machine, download=False)


@pytest.mark.parametrize("archive", [b"no archive", pack({"a": b"b"})[:60]], ids=["text", "cut"])
def test_an_archive_that_is_none(small: Small, machine: Path, archive: bytes) -> None:
    other = small.with_archive(archive)
    other.write(machine)
    with pytest.raises(DataError, match=r"cifar-10-binary.tar.gz: (cannot be unpacked|does not hold)"):
        load_cifar(other.source, "train", machine, download=False)


def test_missing_says_where_what_and_how(machine: Path) -> None:
    with pytest.raises(DataError) as caught:
        cifar10("test", machine / "mine", download=False)
    assert str(caught.value).splitlines() == [
        "cifar10: found neither cifar-10-binary.tar.gz nor test_batch.bin",
        f"  looked in: {machine}/mine/cifar10, {machine}/mine/{FOLDER}, {machine}/mine, and {FOLDER} in each",
        f"  expected: cifar-10-binary.tar.gz, 170,052,171 bytes, sha256 {CIFAR10.sha256}",
        "  to get it: save https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz there, "
        "or call with download=True and no root",
    ]


def test_no_mirror_says_why(small: Small, machine: Path) -> None:
    with pytest.raises(
        DataError, match=r"downloading failed: no mirror gave cifar-10-binary.tar.gz: http://127.0.0.1:9"
    ):
        load_cifar(small.source, "test", None, download=True)


@pytest.mark.parametrize("split", ["validation", "Train", None], ids=repr)
def test_refuses_a_split(split: object) -> None:
    with pytest.raises(DataError, match="expected 'train' or 'test'"):
        cifar10(split)  # type: ignore[arg-type]
