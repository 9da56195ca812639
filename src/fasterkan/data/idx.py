"""Reading IDX files, the format in which MNIST and similar data sets are published."""

from __future__ import annotations

import gzip
import io
import math
import os
import zlib
from pathlib import Path

import numpy as np
import torch

from fasterkan.data.errors import DataError

_GZIP_MAGIC = b"\x1f\x8b"
_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: str | os.PathLike[str]) -> torch.Tensor:
    """Read one IDX file into a tensor.

    The layout: two zero bytes, a type code, the number of dimensions D, and D sizes as big-endian uint32. The values
    follow, big-endian, with the last dimension varying fastest. Nothing follows them. Source: the description on the
    MNIST page (LeCun, Cortes, Burges).

    Args:
        path: the file. It is decompressed if its name ends in `.gz`.

    Returns:
        A tensor with the shape in the file. The type code decides the dtype: uint8, int8, int16, int32, float32 or
            float64.

    Raises:
        DataError: the file is missing or unreadable; the gzip stream is damaged or truncated; or the content is not
            an IDX array of the length that its header states.

    Example:
        >>> import tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "three-ubyte"
        >>> _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 5, 0, 4]))
        >>> read_idx(path)
        tensor([5, 0, 4], dtype=torch.uint8)
    """
    return parse_idx(read_content(Path(path)), str(path))


def read_content(path: Path, limit: int | None = None) -> bytes:
    """Return at most limit + 1 bytes of a file's content, decompressed if its name ends in `.gz`."""
    if path.suffix == ".gz":
        return gunzip(read_raw(path), str(path), limit)
    return read_raw(path, limit)


def read_raw(path: Path, limit: int | None = None) -> bytes:
    """Return at most limit + 1 bytes of a file, without decompression."""
    try:
        with path.open("rb") as file:
            return file.read(-1 if limit is None else limit + 1)
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); expected a readable file") from error


def gunzip(data: bytes, where: str, limit: int | None = None) -> bytes:
    """Decompress a gzip stream and check its CRC; stop at limit + 1 bytes, so that no stream can fill the memory."""
    if not data:
        raise DataError(f"{where}: is empty; expected a gzip stream")
    if not data.startswith(_GZIP_MAGIC):
        raise DataError(f"{where}: is not gzip: it starts with {data[:8]!r}, expected {_GZIP_MAGIC!r}")
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            return stream.read(-1 if limit is None else limit + 1)
    except EOFError as error:
        raise DataError(f"{where}: the gzip stream is truncated after {len(data):,} bytes") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{where}: the gzip stream is damaged ({error})") from error


def parse_idx(content: bytes, where: str) -> torch.Tensor:
    """Turn the content of an IDX file into a tensor; `where` names the file in messages."""
    if not content:
        raise DataError(f"{where}: is empty; expected an IDX file")
    if content[:2] != b"\0\0" or len(content) < 4 or content[2] not in _DTYPES:
        hint = (
            " (this is a gzip stream: give the file a name that ends in .gz)" if content.startswith(_GZIP_MAGIC) else ""
        )
        codes = ", ".join(f"{code:02x}" for code in _DTYPES)
        raise DataError(
            f"{where}: is not an IDX file: it starts with {content[:4].hex(' ')}{hint}; "
            f"expected 00 00, a type code ({codes}) and the number of dimensions"
        )
    dtype, ndim = np.dtype(_DTYPES[content[2]]), content[3]
    start = 4 + 4 * ndim
    if ndim == 0 or len(content) < start:
        raise DataError(f"{where}: the IDX header announces {ndim} dimensions, but the file has {len(content):,} bytes")
    shape = tuple(int(size) for size in np.frombuffer(content, ">u4", ndim, offset=4))
    expected = start + math.prod(shape) * dtype.itemsize
    if len(content) != expected:
        fault = "truncated" if len(content) < expected else "trailing bytes"
        raise DataError(
            f"{where}: has {len(content):,} bytes, expected {expected:,} ({fault}): "
            f"the header announces {dtype.name} values of shape {list(shape)}"
        )
    values = np.frombuffer(content, dtype, offset=start).reshape(shape)
    return torch.from_numpy(values.astype(dtype.newbyteorder("="), copy=True))
