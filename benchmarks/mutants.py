"""Break the code in places and see whether the tests notice: Cosmic Ray's mutants against each package's own tests.

    python benchmarks/mutants.py                        # 30 mutants of each package; hours
    python benchmarks/mutants.py --packages ops --count 5
    python benchmarks/mutants.py --survivors            # those again that no test noticed

Mutants are made in copies of the working tree, one for each worker. What was found is kept in runs/mutants.jsonl, so
that a run that was stopped goes on where it was; results/mutants.jsonl is written package by package.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import hashlib
import json
import os
import queue
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from _common import RESULTS, ROOT, write_results
from _mutants import Mutant, find, ordered, sample
from _mutants_table import equivalent, judged
from cosmic_ray.mutating import mutate_and_test
from cosmic_ray.work_item import MutationSpec, TestOutcome, WorkerOutcome

PACKAGES = ("bases", "ops", "nn", "fitting", "interpret", "models", "train")
Key = tuple[str, int, str, str]
SESSION = ROOT / "runs" / "mutants.jsonl"
FAILED = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", re.MULTILINE)


def copy_tree(target: Path) -> None:
    """Copy what git tracks, or would, of the working tree."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


def command(tree: Path, *arguments: str) -> list[str]:
    """Pytest in a copy, on its code."""
    inside = 'cd "$0" && exec env PYTHONPATH="$0/src" OMP_NUM_THREADS=1 "$@"'
    return ["sh", "-c", inside, str(tree), sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]


def tests_of(tree: Path, package: str) -> list[Path]:
    """The test files of a package."""
    return sorted((tree / "tests" / package).rglob("test_*.py"))


def seconds_unchanged(tree: Path, package: str, workers: int) -> float:
    """How long the package's tests take one process, at most, on the code as it is, where they must pass."""
    start = time.perf_counter()
    run = command(tree, "-n", str(workers), f"tests/{package}")
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"mutants: the tests of {package} fail without any mutant; mend them first:\n{done.stdout}")
    return (time.perf_counter() - start) * workers


def outcome(tree: Path, package: str, mutant: Mutant, timeout: float) -> dict[str, Any]:
    """Make a mutant in a copy, test until a test fails, and undo it."""
    files = [str(path.relative_to(tree)) for path in ordered(tree, mutant.file, tests_of(tree, package))]
    place = (mutant.line, 0), (mutant.line, 1)
    spec = MutationSpec(tree / mutant.file, mutant.operator, mutant.occurrence, *place)
    start = time.perf_counter()
    result = mutate_and_test([spec], shlex.join(command(tree, "-x", *files)), timeout)
    if result.worker_outcome != WorkerOutcome.NORMAL or result.test_outcome == TestOutcome.INCOMPETENT:
        raise RuntimeError(f"mutants: Cosmic Ray could not run {mutant}: {result.output}")
    found, by = "survived", None
    if result.output == "timeout":
        found = "time-out"
    elif result.test_outcome == TestOutcome.KILLED:
        failed = FAILED.search(result.output or "")
        found, by = "killed", failed[1] if failed else "the import of the tests"
    return {
        "package": package,
        "file": mutant.file,
        "line": mutant.line,
        "operator": mutant.operator,
        "before": mutant.before,
        "after": mutant.after,
        "outcome": found,
        "killed_by": by,
        "seconds": round(time.perf_counter() - start, 1),
    }


class Session:
    """What was found so far, a line a mutant, in a file that a later run on the same code and seed goes on with."""

    def __init__(self, path: Path, seed: int) -> None:
        sources = sorted((ROOT / "src").rglob("*.py"))
        code = hashlib.sha256(b"\0".join(p.read_bytes() for p in sources)).hexdigest()
        head = {"code": code, "seed": seed}
        self.path, self.rows = path, {}
        path.parent.mkdir(exist_ok=True)
        lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        if lines[:1] == [head]:
            self.rows = {key_of(row): row for row in lines[1:]}
            print(f"going on with {path.relative_to(ROOT)}, {len(self.rows)} mutants")
        else:
            path.write_text(json.dumps(head) + "\n")

    def add(self, row: dict[str, Any]) -> None:
        """Write down what was found."""
        self.rows[key_of(row)] = row
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")


def key_of(row: dict[str, Any]) -> Key:
    """What tells a row's mutant from the others."""
    return row["file"], row["line"], row["before"], row["after"]


@contextlib.contextmanager
def copies(workers: int) -> Iterator[queue.SimpleQueue[Path]]:
    """Copies of the working tree, with bytecode so that each run starts quickly; removed at the end."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        trees: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for number in range(workers):
            tree = Path(folder) / str(number)
            copy_tree(tree)
            subprocess.run([sys.executable, "-m", "compileall", "-q", str(tree / "src")], check=True)
            trees.put(tree)
        yield trees


def run(
    trees: queue.SimpleQueue[Path], package: str, mutants: Sequence[Mutant], workers: int
) -> Iterator[dict[str, Any]]:
    """Test the mutants of a package, several at a time, and yield a row for each."""
    tree = trees.get()
    timeout = 120 + 4 * seconds_unchanged(tree, package, workers)
    trees.put(tree)

    def one(mutant: Mutant) -> dict[str, Any]:
        tree = trees.get()
        try:
            return outcome(tree, package, mutant, timeout)
        finally:
            trees.put(tree)

    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        try:
            for done in concurrent.futures.as_completed([pool.submit(one, mutant) for mutant in mutants]):
                yield done.result()
        finally:
            pool.shutdown(cancel_futures=True)


def results() -> list[dict[str, Any]]:
    """The rows of the last results; none if there are no results yet."""
    path = RESULTS / "mutants.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()[1:]] if path.exists() else []


def tell(row: dict[str, Any]) -> None:
    by = f" by {row['killed_by']}" if row["killed_by"] else ""
    print(f"{row['outcome']:9} {row['seconds']:6.1f} s  {row['file']}:{row['line']}{by}")
    if row["outcome"] == "survived":
        print(f"    - {row['before']}\n    + {row['after']}")
    sys.stdout.flush()


def sampled(args: argparse.Namespace) -> None:
    """Test a sample of each package; its results take the place of those it had."""
    session = Session(SESSION, args.seed)
    with copies(args.workers) as trees:
        for package in args.packages:
            mutants = sample(ROOT, package, args.count, args.seed)
            left = [mutant for mutant in mutants if mutant.key not in session.rows]
            print(f"{package}: {len(mutants)} mutants, {len(left)} to test", flush=True)
            for row in run(trees, package, left, args.workers) if left else ():
                session.add(row)
                tell(row)
            others = [row for row in results() if row["package"] != package]
            rows = [*others, *(session.rows[mutant.key] for mutant in mutants)]
            write_results("mutants", sorted(rows, key=lambda row: PACKAGES.index(row["package"])))


def survivors(args: argparse.Namespace) -> None:
    """Test those again that no test noticed; a mutant whose line is no more is gone."""
    rows, argued = results(), equivalent()
    again = [row for row in judged(rows, argued) if row["outcome"] == "survived" and row["package"] in args.packages]
    found: dict[Key, dict[str, Any]] = {}
    with copies(args.workers) as trees:
        for package in dict.fromkeys(row["package"] for row in again):
            mine = {key_of(row): find(ROOT, row) for row in again if row["package"] == package}
            found |= {key_of(row): {**row, "outcome": "gone"} for row in again if mine.get(key_of(row), row) is None}
            left = [mutant for mutant in mine.values() if mutant is not None]
            print(f"{package}: {len(left)} survivors to test, {len(mine) - len(left)} gone", flush=True)
            old = {mutant.key: key for key, mutant in mine.items() if mutant is not None}
            for row in run(trees, package, left, args.workers) if left else ():
                found[old[key_of(row)]] = row
                tell(row)
    write_results("mutants", [found.get(key_of(row), row) for row in rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", nargs="+", choices=PACKAGES, default=PACKAGES, help="default: all")
    parser.add_argument("--count", type=int, default=30, help="mutants of each package (default 30)")
    parser.add_argument("--seed", type=int, default=0, help="which mutants (default 0)")
    parser.add_argument("--workers", type=int, default=2, help="mutants at a time (default 2)")
    parser.add_argument("--survivors", action="store_true", help="only those that no test noticed the last time")
    args = parser.parse_args()
    os.environ.pop("FASTERKAN_TEST_SEED", None)
    survivors(args) if args.survivors else sampled(args)


if __name__ == "__main__":
    main()
