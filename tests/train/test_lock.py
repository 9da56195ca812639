"""One process at a time in a run's folder."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from fasterkan.train import RunFolderError
from fasterkan.train.lock import locked

HOLD = "import sys; from fasterkan.train.lock import locked; from pathlib import Path\n"
HOLD += "with locked(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"


def test_it_is_held_once_and_leaves_nothing(tmp_path):
    path = tmp_path / ".lock"
    with locked(path):
        assert path.read_text() == f"{os.getpid()}\n"
        with pytest.raises(RunFolderError) as caught, locked(path):
            pass
        assert str(caught.value) == (
            f"{tmp_path} is in use: process {os.getpid()} trains in it; wait until it ends, or choose another folder"
        )
        assert path.exists()
    assert list(tmp_path.iterdir()) == []


def test_a_dead_process_does_not_hold_it(tmp_path):
    path = tmp_path / ".lock"
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(RunFolderError, match=rf"is in use: process {other.pid} trains in it"), locked(path):
            pass
    finally:
        other.kill()
        other.wait()
        other.stdin.close()
        other.stdout.close()
    assert path.read_text() == f"{other.pid}\n"
    with locked(path):
        assert path.read_text() == f"{os.getpid()}\n"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not remove a file that is open")
def test_a_lock_on_a_file_that_was_removed_and_made_again_does_not_count(tmp_path, monkeypatch):
    path = tmp_path / ".lock"
    other = path.with_name("other")
    own, seen = os.open, []

    def opened(name, *rest):
        handle = own(name, *rest)
        seen.append(str(name))
        if str(name) == str(path) and len(seen) <= 2:  # somebody else's file comes in the place of ours, twice
            other.write_text("")
            spare = [tmp_path / f"spare{len(seen)}{n}" for n in range(3)]
            for each in spare:
                each.write_text("")
            (other if len(seen) == 1 else spare[-1]).replace(path)
        return handle

    monkeypatch.setattr("fasterkan.train.lock.os.open", opened)
    with locked(path):
        assert len(seen) == 3
        assert path.read_text() == f"{os.getpid()}\n"
