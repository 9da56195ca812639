from __future__ import annotations

import gzip
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from fasterkan.data import DataError
from fasterkan.data.lookup import load_file
from fasterkan.data.sources import load_source

from ..seeds import seed_of

PLACES = ["checkout/data/mini", "work/data/mini", "cache/fasterkan/mini", "system/mini"]


@pytest.mark.parametrize("compressed", [True, False], ids=["gz", "plain"])
@pytest.mark.parametrize("place", PLACES)
def test_finds_it_in(mini, machine: Path, place: str, compressed: bool) -> None:
    mini.write(machine / place, compressed=compressed)
    for file in (*mini.source.train, *mini.source.test):
        assert load_file(mini.source, file, None, download=False) == mini.contents[file.name]


@pytest.mark.parametrize("folder", ["mini", "Mini/raw"])
def test_finds_it_through_the_environment(mini, machine: Path, monkeypatch, folder: str) -> None:
    mini.write(machine / "sets" / folder)
    monkeypatch.setenv("FASTERKAN_DATA", str(machine / "sets"))
    assert len(load_source(mini.source, "train", None, download=False)) == 6


@pytest.mark.parametrize("folder", ["", "mini", "Mini/raw"], ids=["itself", "own-name", "torchvision"])
@pytest.mark.parametrize("kind", [str, Path])
def test_finds_it_in_a_root(mini, machine: Path, folder: str, kind: Callable[[Path], object]) -> None:
    mini.write(machine / "mine" / folder)
    assert len(load_source(mini.source, "test", kind(machine / "mine"), download=False)) == 4


def test_the_first_place_counts_even_if_it_is_damaged(mini, machine: Path) -> None:
    mini.write(machine / "system" / "mini")
    mini.write(machine / "checkout" / "data" / "mini")
    bad = machine / "checkout" / "data" / "mini" / "train-labels-idx1-ubyte.gz"
    bad.write_bytes(b"")
    with pytest.raises(DataError) as caught:
        load_source(mini.source, "train", None, download=True)
    assert str(caught.value).startswith(f"{bad}: is empty")


def test_gzip_comes_before_plain(mini, machine: Path) -> None:
    mini.write(machine / "mine")
    (machine / "mine" / "train-labels-idx1-ubyte").write_bytes(b"left half unpacked")
    assert len(load_source(mini.source, "train", machine / "mine", download=False)) == 6


def test_a_root_hides_every_other_place(mini, machine: Path) -> None:
    for place in PLACES:
        mini.write(machine / place)
    with pytest.raises(DataError, match="found neither"):
        load_source(mini.source, "train", machine / "mine", download=True)


def test_missing_says_which_where_what_and_how(mini, machine: Path) -> None:
    file = mini.source.test[1]
    with pytest.raises(DataError) as caught:
        load_file(mini.source, file, None, download=False)
    assert str(caught.value).splitlines() == [
        "mini: found neither t10k-labels-idx1-ubyte.gz nor t10k-labels-idx1-ubyte",
        f"  looked in: {machine}/checkout/data/mini, data/mini, {machine}/cache/fasterkan/mini, {machine}/system/mini",
        f"  expected: t10k-labels-idx1-ubyte, 12 bytes decompressed, sha256 {file.sha256}",
        "  to get it: `apt-get install dataset-mini`, or save http://127.0.0.1:9/t10k-labels-idx1-ubyte.gz there, "
        "or call with download=True and no root",
    ]


@pytest.mark.parametrize(
    ("root", "looked"),
    [
        pytest.param("nowhere", "nowhere/mini, nowhere/Mini/raw, nowhere", id="no-such-folder"),
        pytest.param("x" * 300, "x" * 300, id="name-too-long"),
        pytest.param("file", "file/mini, file/Mini/raw, file", id="a-file"),
        pytest.param("", "mini, Mini/raw, .", id="empty"),
        pytest.param("a\0b", "a\0b", id="nul"),
    ],
)
def test_a_bad_root_is_a_missing_file(mini, machine: Path, root: str, looked: str) -> None:
    Path("file").touch()
    with pytest.raises(DataError) as caught:
        load_source(mini.source, "train", root, download=True)
    assert f"  looked in: {looked}" in str(caught.value)


def cut(content: bytes) -> bytes:
    return content[:-1]


def lengthened(content: bytes) -> bytes:
    return content + b"\0" * 9


def changed(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


@pytest.mark.parametrize("compressed", [True, False], ids=["gz", "plain"])
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        pytest.param(cut, "has 105 bytes decompressed, expected 106\\n", id="truncated"),
        pytest.param(lengthened, "has more than 106 bytes decompressed, expected 106\\n", id="trailing-bytes"),
        pytest.param(changed, "sha256 of the decompressed file is [0-9a-f]{64}, expected ", id="one-bit"),
    ],
)
def test_damaged_says_what_was_expected_and_how_to_mend_it(
    mini, machine: Path, damage: Callable[[bytes], bytes], message: str, compressed: bool
) -> None:
    mini.contents["train-images-idx3-ubyte"] = damage(mini.contents["train-images-idx3-ubyte"])
    mini.write(machine / "mine", compressed=compressed)
    name = "train-images-idx3-ubyte.gz" if compressed else "train-images-idx3-ubyte"
    with pytest.raises(DataError, match=message) as caught:
        load_source(mini.source, "train", machine / "mine", download=False)
    first, *_, expected, mend = str(caught.value).splitlines()
    assert first.startswith(f"{machine / 'mine' / name}: ")
    assert expected.endswith(f"106 bytes decompressed, sha256 {mini.source.train[0].sha256}")
    assert mend.startswith("  to fix it: move the file away, then `apt-get install dataset-mini`, or save http://127")


def test_no_bit_of_a_plain_file_can_flip_unseen(mini, machine: Path) -> None:
    file = mini.source.train[0]
    content = mini.contents[file.name]
    path = machine / file.name
    rng = random.Random(seed_of(2))
    for _ in range(100):
        position = rng.randrange(len(content))
        path.write_bytes(
            content[:position] + bytes([content[position] ^ (1 << rng.randrange(8))]) + content[position + 1 :]
        )
        with pytest.raises(DataError, match="sha256"):
            load_file(mini.source, file, machine, download=False)


def test_a_flipped_byte_of_a_gzip_gives_the_content_or_a_data_error(mini, machine: Path) -> None:
    file = mini.source.train[0]
    data = gzip.compress(mini.contents[file.name])
    path = machine / f"{file.name}.gz"
    rng = random.Random(seed_of(3))
    refused = 0
    for _ in range(200):
        position = rng.randrange(len(data))
        path.write_bytes(data[:position] + bytes([data[position] ^ rng.randrange(1, 256)]) + data[position + 1 :])
        try:
            assert load_file(mini.source, file, machine, download=False) == mini.contents[file.name]
        except DataError:
            refused += 1
    assert refused > 150


@pytest.mark.parametrize("split", ["validation", "Train", "", None, ["train"]], ids=repr)
def test_refuses_a_split(mini, machine: Path, split: object) -> None:
    with pytest.raises(DataError) as caught:
        load_source(mini.source, split, None, download=False)  # type: ignore[arg-type]
    assert str(caught.value) == f"mini: split is {split!r}, expected 'train' or 'test'"
