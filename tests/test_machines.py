"""The run under several settings: each alone in its environment, all told in a table, a failure in the exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from . import machines

FAILS_UNDER_ONE = """
import os

def test_a():
    assert os.environ.get("FASTERKAN_TEST_SEED") != "2"

def test_b():
    threads = os.cpu_count() if "FASTERKAN_TEST_SEED" in os.environ else 1
    assert os.environ["OMP_NUM_THREADS"] == str(threads)
"""


def test_settings_one_at_a_time(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(FAILS_UNDER_ONE)
    settings = ("OMP_NUM_THREADS=1", "FASTERKAN_TEST_SEED=1", "FASTERKAN_TEST_SEED=2")
    command = [sys.executable, machines.__file__, "--workers", "0", str(tmp_path)]
    for setting in settings:
        command += ["--only", setting]
    environment = {**os.environ, "FASTERKAN_TEST_SEED": "5", "OMP_NUM_THREADS": "3"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 1, done.stderr
    rows = [line.split()[:3] for line in done.stdout.splitlines()[-4:]]
    assert rows == [
        ["setting", "passed", "failed"],
        ["OMP_NUM_THREADS=1", "2", "0"],
        ["FASTERKAN_TEST_SEED=1", "2", "0"],
        ["FASTERKAN_TEST_SEED=2", "1", "1"],
    ]


def test_what_did_not_end_is_no_success() -> None:
    assert machines.counts(["....\n", "== 3 failed, 41 passed, 1 skipped, 2 errors in 3.1s ==\n"]) == (41, 5)
    assert machines.counts([]) == (0, 0)
    killed = machines.Outcome("OMP_NUM_THREADS=2", 0, 0, 3.0, ran=False)
    assert not killed.good
    assert machines.table([killed]).endswith("3  did not end")
