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
_SLACK = 65536  # a gzip stream may be longer than its content, by its header and 5 bytes for each stored block


def download(file: KnownFile, mirrors: Sequence[str], folder: Path, *, timeout: float = 30.0) -> bytes:
    """Get a file from the first mirror that has it whole, and keep it in a folder.

    Args:
        file: what to get; its gzipped form is asked for and its checksum verified before anything is written.
        mirrors: addresses that end in a slash, tried in order.
        folder: where `NAME.gz` is kept; made if missing. If it cannot be written a warning is logged, no more.
        timeout: seconds without an answer after which a mirror is given up.

    Returns:
        The decompressed content.

    Raises:
        DataError: no mirror gave the file; every address is listed with its reason.
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
    """Get NAME from the first mirror whose answer passes, and keep it as it came; see `download`.

    Args:
        name: of the file, appended to a mirror's address.
        mirrors: addresses that end in a slash, tried in order.
        folder: where it is kept.
        limit: bytes of an answer that are read at most.
        verify: of an answer and its address, returns the content or raises DataError.
        timeout: seconds without an answer after which a mirror is given up.

    Returns:
        What `verify` made of the answer.

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
            _LOGGER.warning("%s is not kept in %s, it will be downloaded again: %s", name, folder, error)
        return content
    raise DataError(f"no mirror gave {name}: {'; '.join(failures)}")


def _get(url: str, limit: int, timeout: float) -> bytes:
    """The body of an answer, read to at most limit bytes."""
    try:
        with urllib.request.urlopen(url, timeout=timeout) as response:
            body: bytes = response.read(limit)
    except urllib.error.HTTPError as error:
        error.close()
        raise DataError(f"{url}: HTTP {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        raise DataError(f"{url}: {str(error) or type(error).__name__}") from error
    return body
