"""Run the tests that compute as other machines would: with other thread counts, instructions and draws.

    python tests/machines.py                         # every setting, about 50 minutes on two cores
    python tests/machines.py --only MKL_CBWR=COMPATIBLE tests/ops

The variables tell PyTorch, MKL and oneDNN to leave out what the processor has; sums are then added in other orders. The
table at the end is the result; the exit code is 1 if a test failed under any setting.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
COMPUTING = ("tests/bases", "tests/ops", "tests/nn", "tests/fitting", "tests/interpret")
SETTINGS = (
    "OMP_NUM_THREADS=1",
    "OMP_NUM_THREADS=2",
    "ATEN_CPU_CAPABILITY=default",
    "ATEN_CPU_CAPABILITY=avx2",
    "MKL_ENABLE_INSTRUCTIONS=AVX2",
    "MKL_CBWR=COMPATIBLE",
    "ONEDNN_MAX_CPU_ISA=AVX2",
    "FASTERKAN_TEST_SEED=1",
    "FASTERKAN_TEST_SEED=2",
)
LEFT_OUT = {"ATEN_CPU_CAPABILITY=default": ("-k", "not inductor")}
"""With this setting no C++ code of Inductor compiles: it uses at::vec, which PyTorch then does not declare."""


class Outcome(NamedTuple):
    """What came of the tests under one setting."""

    setting: str
    passed: int
    failed: int
    seconds: float
    ran: bool
    """Whether pytest came to an end by itself; it does not where it is killed or finds no test."""

    @property
    def good(self) -> bool:
        return self.ran and not self.failed


def run(setting: str, paths: Sequence[str], workers: int) -> Outcome:
    """Run pytest under one setting and nothing of the others, and pass on what it says.

    The processes share the cores: a setting with more threads than one process' share has fewer processes.
    """
    ours = {one.partition("=")[0] for one in SETTINGS}
    name, _, value = setting.partition("=")
    share = max(1, (os.cpu_count() or 1) // max(1, workers))
    environment = {k: v for k, v in os.environ.items() if k not in ours} | {"OMP_NUM_THREADS": str(share), name: value}
    if workers:
        workers = max(1, workers * share // max(share, int(environment["OMP_NUM_THREADS"])))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", str(workers)]
    command += [*LEFT_OUT.get(setting, ()), *paths]
    start, lines = time.perf_counter(), []
    print(f"\n{setting}: {' '.join(command[1:])}", flush=True)
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    return Outcome(setting, *counts(lines), time.perf_counter() - start, process.returncode in (0, 1))


def counts(lines: Sequence[str]) -> tuple[int, int]:
    """How many tests passed and how many failed or broke, by pytest's last line."""
    number = {word: int(count) for count, word in re.findall(r"(\d+) (passed|failed|error)", "".join(lines[-1:]))}
    return number.get("passed", 0), number.get("failed", 0) + number.get("error", 0)


def table(outcomes: Iterable[Outcome]) -> str:
    """The outcomes, a line each."""
    width = max(map(len, SETTINGS))
    rows = [f"{'setting':{width}}  passed  failed  seconds"]
    for one in outcomes:
        end = "" if one.ran else "  did not end"
        rows.append(f"{one.setting:{width}}  {one.passed:6}  {one.failed:6}  {one.seconds:7.0f}{end}")
    return "\n".join(rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", default=COMPUTING, help=f"what to test (default: {' '.join(COMPUTING)})")
    parser.add_argument("--only", action="append", choices=SETTINGS, help="one of the settings; may be repeated")
    parser.add_argument("--workers", type=int, default=2, help="test processes (default 2), 0 for none")
    args = parser.parse_args()
    outcomes = [run(setting, args.paths, args.workers) for setting in args.only or SETTINGS]
    print(f"\n{table(outcomes)}")
    return 0 if all(one.good for one in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
