from __future__ import annotations

import gzip
import random
import struct
from pathlib import Path

import pytest
import torch

from fasterkan.data import DataError, read_idx
from fasterkan.data.idx import gunzip, read_content

from ..seeds import seed_of

LABELS = struct.pack(">HBBI", 0, 8, 1, 5) + bytes([5, 0, 4, 1, 9])
GZIPPED = gzip.compress(LABELS, mtime=0)


@pytest.mark.parametrize(
    ("code", "letter", "dtype"),
    [
        pytest.param(0x08, "B", torch.uint8, id="uint8"),
        pytest.param(0x09, "b", torch.int8, id="int8"),
        pytest.param(0x0B, "h", torch.int16, id="int16"),
        pytest.param(0x0C, "i", torch.int32, id="int32"),
        pytest.param(0x0D, "f", torch.float32, id="float32"),
        pytest.param(0x0E, "d", torch.float64, id="float64"),
    ],
)
@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gz"])
def test_reads_every_type(tmp_path: Path, code: int, letter: str, dtype: torch.dtype, compressed: bool) -> None:
    content = struct.pack(f">HBBII6{letter}", 0, code, 2, 2, 3, 0, 1, 2, 3, 100, 127)
    path = tmp_path / ("array.gz" if compressed else "array")
    path.write_bytes(gzip.compress(content) if compressed else content)
    assert torch.equal(read_idx(path), torch.tensor([[0, 1, 2], [3, 100, 127]], dtype=dtype))


def test_reads_a_path_given_as_text_and_gives_a_tensor_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "labels"
    path.write_bytes(LABELS)
    first = read_idx(str(path))
    first[0] = 7
    assert read_idx(str(path)).tolist() == [5, 0, 4, 1, 9]


def test_reads_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "none"
    path.write_bytes(struct.pack(">HBBIII", 0, 8, 3, 0, 28, 28))
    assert read_idx(path).shape == (0, 28, 28)


def test_reads_a_gzip_of_several_members(tmp_path: Path) -> None:
    path = tmp_path / "labels.gz"
    path.write_bytes(gzip.compress(LABELS[:6]) + gzip.compress(LABELS[6:]))
    assert read_idx(path).tolist() == [5, 0, 4, 1, 9]


def flipped(data: bytes, position: int, bit: int = 0) -> bytes:
    return data[:position] + bytes([data[position] ^ (1 << bit)]) + data[position + 1 :]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        pytest.param("x", b"", "is empty; expected an IDX file", id="empty"),
        pytest.param("x.gz", b"", "is empty; expected a gzip stream", id="empty-gz"),
        pytest.param("x.gz", gzip.compress(b""), "is empty; expected an IDX file", id="gz-of-nothing"),
        pytest.param("x.gz", b"<!DOCTYPE html>", r"is not gzip: it starts with b'<!DOCTYP'", id="html-named-gz"),
        pytest.param("x.gz", LABELS, "is not gzip: it starts with", id="plain-named-gz"),
        pytest.param("x", GZIPPED, "a gzip stream: give the file a name that ends in .gz", id="gz-named-plain"),
        pytest.param("x.gz", GZIPPED[:1], "is not gzip", id="gz-1-byte"),
        pytest.param("x.gz", GZIPPED[:5], "gzip stream is truncated after 5 bytes", id="gz-cut-in-header"),
        pytest.param("x.gz", GZIPPED[:-9], "gzip stream is truncated", id="gz-cut-in-data"),
        pytest.param("x.gz", GZIPPED[:-1], "gzip stream is truncated", id="gz-cut-in-trailer"),
        pytest.param("x.gz", flipped(GZIPPED, -8 % len(GZIPPED)), "gzip stream is damaged", id="gz-crc-flipped"),
        pytest.param("x.gz", flipped(GZIPPED, 2), "gzip stream is damaged", id="gz-method-flipped"),
        pytest.param("x.gz", GZIPPED + b"more", "gzip stream is damaged", id="gz-trailing-bytes"),
        pytest.param("x", b"<html>", "is not an IDX file: it starts with 3c 68 74 6d", id="html"),
        pytest.param("x", flipped(LABELS, 0), "it starts with 01 00 08 01", id="magic-flipped"),
        pytest.param("x", flipped(LABELS, 2, 1), "expected 00 00, a type code (08, 09,", id="unknown-type"),
        pytest.param("x", b"\0\0\x08", "is not an IDX file", id="3-bytes"),
        pytest.param("x", b"\0\0\x08\0", "announces 0 dimensions", id="no-dimensions"),
        pytest.param("x", b"\0\0\x08\xff", "announces 255 dimensions, but the file has 4 bytes", id="sizes-missing"),
        pytest.param("x", LABELS[:-1], "has 12 bytes, expected 13 (truncated)", id="truncated"),
        pytest.param("x", LABELS + b"\0", "has 14 bytes, expected 13 (trailing bytes)", id="trailing-byte"),
        pytest.param("x", flipped(LABELS, 4, 7), "expected 2,147,483,661 (truncated)", id="huge-size"),
        pytest.param("x", b"\0\0\x0e\4" + b"\xff" * 16, "(truncated)", id="sizes-beyond-64-bits"),
    ],
)
def test_refuses(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(DataError) as caught:
        read_idx(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


def test_refuses_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere: there is no such file"):
        read_idx(tmp_path / "nowhere")


def test_refuses_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be read .*; expected a readable file"):
        read_idx(tmp_path)


def test_a_flipped_bit_of_the_stream_never_passes_unseen(tmp_path: Path) -> None:
    """Only bits that say nothing about the content (time, system, flags of no effect) may leave it as it was."""
    rng = random.Random(seed_of(1))
    content = struct.pack(">HBBI", 0, 8, 1, 500) + rng.randbytes(500)
    data = gzip.compress(content)
    refused = 0
    for position in range(len(data)):
        try:
            assert gunzip(flipped(data, position, rng.randrange(8)), "x.gz", len(content)) == content
        except DataError:
            refused += 1
    assert refused >= len(data) - 10


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels.gz"
    for length in range(len(GZIPPED)):
        path.write_bytes(GZIPPED[:length])
        with pytest.raises(DataError):
            read_idx(path)


@pytest.mark.parametrize("name", ["zeros", "zeros.gz"])
def test_reading_stops_one_byte_after_the_limit(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    zeros = bytes(1_000_000)
    path.write_bytes(gzip.compress(zeros) if name.endswith(".gz") else zeros)
    assert read_content(path, 100) == bytes(101)
