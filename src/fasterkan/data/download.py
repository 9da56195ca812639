"""Downloading known files from mirrors."""

from __future__ import annotations

import http.client
import logging
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

from fasterkan._files import write_atomically
from fasterkan.data.errors import DataError
from fasterkan.data.idx import gunzip
from fasterkan.data.known import KnownFile

_LOGGER = logging.getLogger("fasterkan")
_SLACK = 65536  # a gzip stream can be longer than its content: a header, and 5 bytes for each stored block


def download(file: KnownFile, mirrors: Sequence[str], folder: Path, *, timeout: float = 30.0) -> bytes:
    """Download a file from the first mirror that has a complete copy, and keep it in a folder.

    Args:
        file: the file to download, in gzipped form. Its checksum is verified before anything is written.
        mirrors: addresses that end in a slash, tried in order.
        folder: the folder for `NAME.gz`. It is made if it does not exist. If it cannot be written, only a warning is
            logged.
        timeout: seconds to wait for an answer of a mirror.

    Returns:
        The decompressed content.

    Raises:
        DataError: no mirror gave the file. The message lists every address with the reason.
    """

    def content(compressed: bytes, url: str) -> bytes:
        plain = gunzip(compressed, url, file.nbytes)
        file.check(plain, url)
        return plain

    return download_verified(f"{file.name}.gz", mirrors, folder, file.nbytes + _SLACK, content, timeout=timeout)


def download_verified(
    name: str,
    mirrors: Sequence[str],
    folder: Path,
    limit: int,
    verify: Callable[[bytes, str], bytes],
    *,
    timeout: float = 30.0,
) -> bytes:
    """Download NAME from the first mirror whose answer passes `verify`, and keep the answer unchanged (see `download`).

    Args:
        name: name of the file. It is appended to the address of a mirror.
        mirrors: addresses that end in a slash, tried in order.
        folder: the folder for the file.
        limit: largest number of bytes that are read from an answer.
        verify: a function of an answer and its address. It returns the content or raises DataError.
        timeout: seconds to wait for an answer of a mirror.

    Returns:
        The content that `verify` returned.

    Raises:
        DataError: no mirror gave the file.
    """
    failures = []
    for mirror in mirrors:
        url = f"{mirror}{name}"
        _LOGGER.info("downloading %s", url)
        try:
            answer = _get(url, limit, timeout)
            content = verify(answer, url)
        except DataError as error:
            failures.append(str(error))
            continue
        if failures:
            _LOGGER.warning("%s came from the mirror %s, because %s", name, mirror, "; ".join(failures))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_atomically({folder / name: answer})
        except OSError as error:
            _LOGGER.warning("%s could not be stored in %s and will be downloaded again: %s", name, folder, error)
        return content
    raise DataError(f"no mirror gave {name}: {'; '.join(failures)}")


def _get(url: str, limit: int, timeout: float) -> bytes:
    """The body of an answer, at most `limit` bytes of it."""
    try:
        with urllib.request.urlopen(url, timeout=timeout) as response:
            body: bytes = response.read(limit)
    except urllib.error.HTTPError as error:
        error.close()
        raise DataError(f"{url}: HTTP {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        raise DataError(f"{url}: {str(error) or type(error).__name__}") from error
    return body
