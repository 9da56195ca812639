"""Finding a known file on this machine, or downloading it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from fasterkan.data.download import download as fetch
from fasterkan.data.errors import DataError
from fasterkan.data.idx import read_content
from fasterkan.data.known import ImageSource, KnownFile
from fasterkan.data.places import cache_folder, search_folders


def load_file(source: ImageSource, file: KnownFile, root: str | os.PathLike[str] | None, download: bool) -> bytes:
    """Return the verified, decompressed content of one file of a data set.

    The first file that is found is used; in each folder, `.gz` comes before the uncompressed file. If it is damaged,
    this is an error, and the search does not continue.

    Args:
        source: the data set.
        file: which of its files.
        root: the only folder to search, without a download. None searches every place.
        download: whether the file is downloaded from the mirrors if it is not found.

    Raises:
        DataError: the file cannot be found or downloaded, or it is not the published one.
    """
    folders = search_folders(source.name, source.torchvision, root)
    for path in (folder / name for folder in folders for name in (f"{file.name}.gz", file.name)):
        if os.path.isfile(path):  # noqa: PTH113 - Path.is_file raises where a folder may not be entered
            return _read(source, file, path)
    missing = f"{source.name}: found neither {file.name}.gz nor {file.name}"
    if root is None and download:
        try:
            return fetch(file, source.mirrors, cache_folder() / source.name)
        except DataError as error:
            raise DataError(f"{missing}\n  downloading failed: {error}{_advice(source, file, folders)}") from error
    raise DataError(f"{missing}{_advice(source, file, folders)}, or call with download=True and no root")


def _read(source: ImageSource, file: KnownFile, path: Path) -> bytes:
    try:
        content = read_content(path, file.nbytes)
        file.check(content, str(path))
    except DataError as error:
        raise DataError(
            f"{error}\n  expected: {file.describe()}\n  to fix it: move the file away, then {_remedy(source, file)}"
        ) from error
    return content


def _advice(source: ImageSource, file: KnownFile, folders: Sequence[Path]) -> str:
    return (
        f"\n  looked in: {', '.join(map(str, folders))}\n  expected: {file.describe()}"
        f"\n  to get it: {_remedy(source, file)}"
    )


def _remedy(source: ImageSource, file: KnownFile) -> str:
    package = f"`apt-get install {source.package}`, or " if source.package else ""
    return f"{package}save {source.mirrors[0]}{file.name}.gz there"
