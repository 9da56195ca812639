"""Files are whole or not there: whatever fails, and whenever the process dies, a reader finds the old or the new."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fasterkan._files import sha256_of, write_atomically

OLD = {"a": b"old a", "b": b"the old b"}
NEW = {"a": b"new a, longer", "b": b"new b"}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def write(folder: Path, files: dict[str, bytes]) -> None:
    write_atomically({folder / name: data for name, data in files.items()})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    folder.mkdir()
    for name, data in OLD.items():
        (folder / name).write_bytes(data)
    return folder


def fail_at(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, nth: int, error: OSError) -> Callable[[], int]:
    """Let the nth call (from 1) of a function raise; return what tells how often it was called."""
    real, calls = getattr(owner, name), []

    def wrapped(*args: Any, **options: Any) -> Any:
        calls.append(args)
        if len(calls) == nth:
            raise error
        return real(*args, **options)

    monkeypatch.setattr(owner, name, wrapped)
    return lambda: len(calls)


class FullDisk(io.FileIO):
    """A file on a disk with room for three bytes."""

    def write(self, data: Any) -> int:
        super().write(bytes(data)[:3])
        raise OSError(errno.ENOSPC, "No space left on device")


def test_sha256_of() -> None:
    assert sha256_of(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256_of(b"") == hashlib.sha256().hexdigest()


def test_writes_new_files_and_replaces_old_ones(folder: Path) -> None:
    write(folder, {**NEW, "c": b""})
    assert contents(folder) == {**NEW, "c": b""}


def test_no_files(folder: Path) -> None:
    write(folder, {})
    assert contents(folder) == OLD


def test_files_of_several_folders(tmp_path: Path) -> None:
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
    write_atomically({tmp_path / "x" / "a": b"1", tmp_path / "y" / "a": b"2"})
    assert (tmp_path / "x" / "a").read_bytes() + (tmp_path / "y" / "a").read_bytes() == b"12"


def test_each_file_is_on_the_disk_before_it_gets_its_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Any] = []

    def fsync(handle: int) -> None:
        status = os.fstat(handle)
        synced.append(
            "folder" if stat.S_ISDIR(status.st_mode) else (contents(folder)["a"], status.st_size, status.st_ino)
        )

    monkeypatch.setattr(os, "fsync", fsync)
    write(folder, NEW)
    inodes = [(folder / name).stat().st_ino for name in NEW]
    assert synced == [(OLD["a"], 13, inodes[0]), (OLD["a"], 5, inodes[1]), "folder"]  # the very files, later renamed


@pytest.mark.parametrize("nth", [1, 2])
def test_a_disk_that_is_full_while_writing(folder: Path, monkeypatch: pytest.MonkeyPatch, nth: int) -> None:
    real, opened = Path.open, []

    def full(self: Path, mode: str = "r", *args: Any, **options: Any) -> Any:
        opened.append(self)
        return FullDisk(self, "x") if len(opened) == nth else real(self, mode, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        with pytest.raises(OSError, match="No space left"):
            write(folder, NEW)
    assert len(opened) == nth
    assert contents(folder) == OLD


@pytest.mark.parametrize(
    ("name", "nth", "code"),
    [
        ("fsync", 1, errno.ENOSPC),
        ("fsync", 2, errno.ENOSPC),
        ("fsync", 3, errno.EIO),  # of the folder, when both files have their names
        ("open", 1, errno.EMFILE),
    ],
)
def test_a_failure_at_any_step(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, nth: int, code: int) -> None:
    with monkeypatch.context() as patch:
        calls = fail_at(patch, os, name, nth, OSError(code, os.strerror(code)))
        with pytest.raises(OSError, match=os.strerror(code)):
            write(folder, NEW)
    assert calls() == nth
    assert contents(folder) == OLD


@pytest.mark.parametrize("nth", [1, 2])
def test_a_rename_fails(folder: Path, monkeypatch: pytest.MonkeyPatch, nth: int) -> None:
    with monkeypatch.context() as patch:
        calls = fail_rename(patch, nth, OSError(errno.EACCES, "Permission denied"))
        with pytest.raises(PermissionError):
            write(folder, NEW)
    assert calls() >= nth
    assert contents(folder) == OLD


@pytest.mark.parametrize("nth", [1, 2])
def test_the_former_file_cannot_be_kept(folder: Path, monkeypatch: pytest.MonkeyPatch, nth: int) -> None:
    real, calls = shutil.copyfile, []

    def full(source: Path, target: Path) -> None:
        calls.append(real(source, target).write_bytes(b"the"))
        if len(calls) == nth:
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", no_links)
        patch.setattr(shutil, "copyfile", full)
        with pytest.raises(OSError, match="No space left"):
            write(folder, NEW)
    assert contents(folder) == OLD


def no_links(source: Path, target: Path) -> None:
    raise OSError(errno.EOPNOTSUPP, "Operation not supported")


def fail_rename(monkeypatch: pytest.MonkeyPatch, nth: int, error: OSError) -> Callable[[], int]:
    """Let the nth rename raise, whether it is asked of `os` or of a path."""
    real, calls = os.replace, []

    def wrapped(source: Any, target: Any, **options: Any) -> None:
        calls.append(target)
        if len(calls) == nth:
            raise error
        real(source, target, **options)

    def method(self: Path, target: Any) -> Path:
        wrapped(self, target)
        return Path(target)

    monkeypatch.setattr(os, "replace", wrapped)
    monkeypatch.setattr(Path, "replace", method)
    return lambda: len(calls)


def test_a_failed_rename_removes_what_was_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        fail_rename(patch, 2, OSError(errno.EACCES, "Permission denied"))
        with pytest.raises(PermissionError):
            write(tmp_path, NEW)
    assert contents(tmp_path) == {}


def test_a_file_system_without_hard_links(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", no_links)
    with monkeypatch.context() as patch:
        fail_rename(patch, 2, OSError(errno.EACCES, "Permission denied"))
        with pytest.raises(PermissionError):
            write(folder, NEW)
    assert contents(folder) == OLD
    write(folder, NEW)
    assert contents(folder) == NEW


def test_a_file_system_that_cannot_flush_folders(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_at(monkeypatch, os, "fsync", 3, OSError(errno.EINVAL, "Invalid argument"))
    write(folder, NEW)
    assert contents(folder) == NEW


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")], ids=",".join)
def test_a_folder_in_the_place_of_a_file(folder: Path, order: tuple[str, str]) -> None:
    (folder / "b").unlink()
    (folder / "b").mkdir()
    with pytest.raises(OSError, match=r"/b'"):
        write(folder, {name: NEW[name] for name in order})
    assert (folder / "a").read_bytes() == OLD["a"]
    assert sorted(p.name for p in folder.iterdir()) == ["a", "b"]


def test_a_parent_that_is_missing_or_a_file(folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no/\.such"):
        write_atomically({folder / "a": b"new", folder / "no" / "such": b"new"})
    with pytest.raises(NotADirectoryError, match=r"a/\.such"):
        write_atomically({folder / "b": b"new", folder / "a" / "such": b"new"})
    assert contents(folder) == OLD


def test_a_new_file_has_the_mode_that_umask_leaves(folder: Path) -> None:
    for umask in (0o022, 0o077, 0o002):
        before = os.umask(umask)
        try:
            write(folder, NEW)
        finally:
            os.umask(before)
        assert stat.S_IMODE((folder / "a").stat().st_mode) == 0o666 & ~umask


def test_a_reader_keeps_the_file_that_it_opened(folder: Path) -> None:
    with (folder / "a").open("rb") as file:
        write(folder, NEW)
        assert file.read() == OLD["a"]


DIES = """
import os, signal, sys
from pathlib import Path
from fasterkan import _files

folder, event, nth = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
seen = 0

def watch(name, args):
    global seen
    if name == event and str(folder) in str(args[0] if event == "open" else args):
        seen += 1
        if seen == nth:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(watch)
real = os.fsync

def fsync(handle):
    watch("fsync", (str(folder), handle))
    real(handle)

os.fsync = fsync
_files.write_atomically({folder / "a": b"x" * 100_000, folder / "b": b"y" * 100_000})
print("done")
"""


@pytest.mark.parametrize(
    ("event", "nth", "renamed"),
    [
        ("fsync", 1, ""),
        ("open", 2, ""),
        ("fsync", 2, ""),
        ("os.rename", 1, ""),
        ("os.rename", 2, "a"),
        ("fsync", 3, "ab"),
    ],
)
def test_killed(folder: Path, event: str, nth: int, renamed: str) -> None:
    script = [sys.executable, "-c", DIES, str(folder), event, str(nth)]
    dead = subprocess.run(script, capture_output=True, text=True, timeout=60, check=False)
    assert (dead.returncode, dead.stdout) == (-signal.SIGKILL, ""), dead.stderr
    found = contents(folder)
    whole = {"a": b"x" * 100_000, "b": b"y" * 100_000}
    assert {name: found[name] for name in OLD} == {name: (whole if name in renamed else OLD)[name] for name in OLD}
