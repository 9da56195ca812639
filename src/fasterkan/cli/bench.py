"""`fasterkan bench`."""

from __future__ import annotations

import ctypes
import platform
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ..bench import FAMILIES, SUITES, TASKS, Family, Observer, Task, bench, families

HELP = f"""Compare this library with other KAN projects and with MLPs.

All times are measured on this machine. A family is one kind of KAN, such as FasterKAN. A task is a network with a batch
size, such as mnist. In each task, the networks of a family take turns: those of this library, those of other projects,
and two MLPs. One MLP has as many parameters as the KAN, the other has as many multiplications. A ratio compares two
times of the same round.

Other projects take part if they are installed, or if --peers is a folder with their checkouts. If the results file
exists, only what is missing in it is measured.

\b
Examples:
  fasterkan bench --suite cpu --peers PEERS --out cpu.jsonl
  fasterkan bench --task mnist --family FasterKAN --peers PEERS
  fasterkan bench --list

\b
{textwrap.fill(f"Families: {', '.join(FAMILIES)}.", 74, break_on_hyphens=False)}
"""


def bench_command(
    suite: Annotated[str, typer.Option(help=f"Group of tasks: {' or '.join(SUITES)}.")] = "cpu",
    task: Annotated[
        list[str] | None,
        typer.Option(help="One task instead of a suite; --list shows all. May be given several times."),
    ] = None,
    family: Annotated[
        list[str] | None, typer.Option(help="Only this family. May be given several times. [default: all]")
    ] = None,
    peers: Annotated[
        Path | None, typer.Option(help="Folder with checkouts of other projects. --list shows how to get them.")
    ] = None,
    out: Annotated[Path, typer.Option(help="File for the results, in JSON lines.")] = Path("bench.jsonl"),
    seconds: Annotated[
        float,
        typer.Option(
            min=0.01,
            help="Seconds for each timing (forward, step) of a family in a task. There are at least five rounds.",
        ),
    ] = 3.0,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Number of CPU threads. [default: that of PyTorch]")
    ] = None,
    list_only: Annotated[
        bool, typer.Option("--list", help="Show all tasks and families, with their projects, and exit.")
    ] = False,
) -> None:
    """Run `fasterkan bench`."""
    chosen = families(family or ())
    if list_only:
        _list(chosen, peers)
        return
    names = task or SUITES.get(suite, ())
    if not names:
        raise ValueError(f"unknown suite {suite!r}; known: {', '.join(SUITES)}")
    if unknown := [name for name in names if name not in TASKS]:
        raise ValueError(f"unknown task {', '.join(unknown)}; known: {', '.join(TASKS)}")
    _keep_memory()
    with _watch() as observer:
        bench(
            [TASKS[name] for name in names],
            chosen,
            out,
            peers=peers,
            seconds=seconds,
            threads=threads,
            observer=observer,
        )
    typer.echo(f"results in {out}")


def _keep_memory() -> None:
    """Tell glibc to keep freed memory; otherwise times depend on which subject ran before."""
    if platform.libc_ver()[0] != "glibc":
        return
    library = ctypes.CDLL(None)
    library.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD
    library.mallopt(-3, 2**25)  # M_MMAP_THRESHOLD


def _list(chosen: Sequence[Family], peers: Path | None) -> None:
    """One name or command on a line, whole, so that it can be copied."""
    typer.echo("Tasks (widths, batch, K, precision, mode, device: about)")
    for task in TASKS.values():
        shape = ", ".join(map(str, task.widths))
        about = f": {task.about}" if task.about else ""
        typer.echo(f"  {task.name}")
        typer.echo(
            f"    [{shape}], {task.batch}, {task.functions}, {task.precision}, {task.mode}, {task.device}{about}"
        )
    typer.echo("\nFamilies (their networks, and how to get those of other projects)")
    for family in chosen:
        typer.echo(f"  {family.name}")
        for subject in family.subjects(peers):
            about = subject.about if subject.peer is None else subject.peer.how
            typer.echo(f"    {subject.name}" + (f": {about}" if about else ""))


@contextmanager
def _watch() -> Iterator[Observer]:
    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        yield _Lines()
        return
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("·"),
        TimeRemainingColumn(),
        TextColumn("left"),
        console=console,
    ) as progress:
        yield _Bar(progress)


def _line(task: Task, row: dict[str, Any]) -> str:
    if "failed" in row:
        return f"{task.name:12} {row['subject']:24} {row['failed']}"
    mark = "  WRONG" if row.get("exactness", {}).get("wrong") else ""
    return (
        f"{task.name:12} {row['subject']:24} forward {row['forward']['median']:9.3f} ms  step "
        f"{row['step']['median']:9.3f} ms ({row['step_ratio']['median']:.2f} x the MLP){mark}"
    )


class _Lines(Observer):
    """One plain line for each subject of a cell."""

    def on_missing(self, reason: str) -> None:
        typer.echo(f"left out: {reason}", err=True)

    def on_start(self, cells: int, done: int) -> None:
        typer.echo(f"{cells} cells, {done} of them measured already")

    def on_rows(self, task: Task, family: Family, rows: Sequence[dict[str, Any]]) -> None:
        for row in rows:
            typer.echo(_line(task, row))


class _Bar(_Lines):
    """A progress bar over the cells, with the lines above it.

    Args:
        progress: the display of rich, which the caller starts and stops.
    """

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def on_start(self, cells: int, done: int) -> None:
        self.bar = self.progress.add_task("", total=cells, completed=done)

    def on_cell(self, task: Task, family: Family) -> None:
        self.progress.update(self.bar, description=f"{task.name}: {family.name}")

    def on_rows(self, task: Task, family: Family, rows: Sequence[dict[str, Any]]) -> None:
        for row in rows:
            self.progress.console.print(_line(task, row))
        self.progress.advance(self.bar)
