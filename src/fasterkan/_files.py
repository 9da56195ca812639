"""Files that are whole or not there: atomic writing and checksums."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path


def sha256_of(data: bytes) -> str:
    """Return the hexadecimal sha256 of `data`."""
    return hashlib.sha256(data).hexdigest()


def write_atomically(files: Mapping[Path, bytes]) -> None:
    """Write every file under a temporary name beside it, flush all to the disk, then rename them one after the other.

    A reader, and whoever looks after a crash, finds each file as it was or as it is now. Only a crash between two
    renames leaves new files beside former ones: store a checksum where they must fit together.

    Raises:
        OSError: a folder cannot be written, or the disk is full; then every file is as it was.
    """
    written: dict[Path, Path] = {}
    try:
        for path, data in files.items():
            with _beside(path).open("xb") as file:
                written[path] = Path(file.name)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        _replace_all(written)
    finally:
        for name in written.values():
            name.unlink(missing_ok=True)


def _replace_all(written: Mapping[Path, Path]) -> None:
    """Rename all; if one rename fails, put back what the earlier ones replaced."""
    former = {path: _beside(path) for path in written}
    replaced: list[Path] = []
    try:
        for path, name in former.items():
            _add_name(path, name)
        for path, name in written.items():
            name.replace(path)
            replaced.append(path)
        for folder in {path.parent for path in written}:
            _sync_folder(folder)
    except BaseException:
        for path in replaced:
            if former[path].exists():
                former[path].replace(path)
            else:
                path.unlink()
        raise
    finally:
        for name in former.values():
            name.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")


def _add_name(path: Path, name: Path) -> None:
    """Make `name` another name of the file at `path`, or a copy of it; nothing where there is no file."""
    try:
        os.link(path, name)
    except FileNotFoundError:
        return
    except OSError:  # a folder at `path`, or a file system without hard links
        shutil.copyfile(path, name)


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems cannot flush a folder
            raise
    finally:
        os.close(handle)
