"""A lock, so that only one process at a time trains in a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import RunFolderError

try:
    import fcntl
except ImportError:  # not POSIX
    fcntl = None  # type: ignore[assignment]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file and remove it at the end; the lock of a process that died is ignored.

    Raises:
        RunFolderError: another process holds the lock.
        OSError: the lock file cannot be written.
    """
    handle = _acquire(path)
    try:
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())
        yield
    finally:
        if fcntl is not None:
            path.unlink(missing_ok=True)
        os.close(handle)
        if fcntl is None:
            path.unlink(missing_ok=True)


def _acquire(path: Path) -> int:
    while True:
        if fcntl is None:  # Windows does not remove a file that a process has opened
            try:
                path.unlink(missing_ok=True)
            except PermissionError as error:
                raise _in_use(path) from error
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        if fcntl is None:
            return handle
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and path.stat().st_ino == os.fstat(handle).st_ino:
                return handle
            os.close(handle)  # the last holder removed it in the meantime
        except BlockingIOError as error:
            os.close(handle)
            raise _in_use(path) from error


def _in_use(path: Path) -> RunFolderError:
    try:
        holder = path.read_text(encoding="utf-8").strip()
    except OSError:
        holder = ""
    who = f"process {holder}" if holder.isdigit() else "another process"
    return RunFolderError(f"{path.parent} is in use: {who} trains in it; wait until it ends, or choose another folder")
