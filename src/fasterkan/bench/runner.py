"""The benchmark: all cells, one after the other, into one results file."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from ..train.environment import machine, versions
from ..train.loop import resolve_device
from .cell import measure
from .peers import PeerError
from .record import Record
from .subjects import EQUAL_FLOPS, EQUAL_PARAMETERS, Family, Subject
from .tasks import Task


class Observer:
    """Base class of observers of `bench`; its methods do nothing."""

    def on_missing(self, reason: str) -> None:
        """Called if a peer is missing; `reason` says how to get it."""

    def on_start(self, cells: int, done: int) -> None:
        """Called at the start; `done` of the `cells` requested cells are in the file already."""

    def on_cell(self, task: Task, family: Family) -> None:
        """Called when a cell begins."""

    def on_rows(self, task: Task, family: Family, rows: Sequence[dict[str, Any]]) -> None:
        """Called when a cell was measured and written."""


def bench(
    tasks: Sequence[Task],
    families: Sequence[Family],
    out: str | Path,
    *,
    peers: str | Path | None = None,
    seconds: float = 3.0,
    threads: int | None = None,
    observer: Observer | None = None,
) -> Record:
    """Measure every family in every task and keep the results in a file; cells in the file are not run again.

    Args:
        tasks: tasks from `TASKS`.
        families: families from `FAMILIES`.
        out: results file in JSON lines.
        peers: folder with the checkouts of peers that are not on PyPI. A missing peer is left out, and the observer is
            called.
        seconds: time for each of the two timings of a cell.
        threads: number of threads of PyTorch. Default: the present number.
        observer: is called during the run.

    Returns:
        The record, with all rows of the file.

    Raises:
        RecordError: the file was started on another machine.
        ValueError: the device of a task is not available, or no task is measured for these families.

    Example:
        >>> record = bench([TASKS["mnist"]], families(["FasterKAN"]), "results.jsonl")
    """
    watcher = observer or Observer()
    place = None if peers is None else Path(peers)
    for device in {task.device for task in tasks}:
        resolve_device(device)
    with _settings(threads):
        record = Record(out, {**machine(torch.device(tasks[0].device)), **versions(), "commit": _commit()})
        available = {family.name: _available(family, place, watcher) for family in families}
        cells = [(t, family) for t in tasks for family in families if not t.families or family.name in t.families]
        if not cells:
            told = "; ".join(f"{task.name}: {', '.join(task.families)}" for task in tasks)
            raise ValueError(f"nothing to measure: these tasks are only for certain families ({told})")
        todo = []
        for task, family in cells:
            names = [subject.name for subject in available[family.name]]
            if not record.has(task.name, family.name, [*names, EQUAL_PARAMETERS, EQUAL_FLOPS]):
                todo.append((task, family))
        watcher.on_start(len(cells), len(cells) - len(todo))
        for task, family in todo:
            watcher.on_cell(task, family)
            torch.manual_seed(0)
            torch.set_float32_matmul_precision("high" if task.precision == "tf32" else "highest")
            rows = measure(task, family, available[family.name], seconds)
            for row in rows:
                row["commit"] = record.machine["commit"]
                peer = next((s.peer for s in available[family.name] if s.name == row["subject"]), None)
                if peer is not None:
                    row["version"] = peer.version(place)
            record.put(task.name, family.name, rows)
            watcher.on_rows(task, family, rows)
            torch.compiler.reset()
            if task.device == "cuda":
                torch.cuda.empty_cache()
    return record


def _available(family: Family, peers: Path | None, observer: Observer) -> list[Subject]:
    """The subjects that can be built; the observer is called for the others."""
    found = []
    for subject in family.subjects(peers):
        if subject.peer is not None:
            try:
                subject.peer.load(peers)
            except PeerError as error:
                observer.on_missing(str(error))
                continue
        found.append(subject)
    return found


@contextlib.contextmanager
def _settings(threads: int | None) -> Iterator[None]:
    """Set the number of threads; restore it and the precision of products at the end."""
    before, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    torch.set_num_threads(threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.set_float32_matmul_precision(precision)


def _commit() -> str:
    """The commit of the checkout from which this package runs, or "unknown"."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"
