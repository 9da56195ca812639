"""Who watches a fit: it tells, observers show."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from .result import FitResult, Phase


class FitObserver:
    """Hears of a fit as it goes; every method does nothing until a subclass says otherwise."""

    def on_phase_start(self, name: str, grid: int | None, iterations: int) -> None:
        """A phase begins; it takes at most so many iterations."""

    def on_step(self, iteration: int, loss: float) -> None:
        """Iteration number `iteration` of the phase, from 1, is done; the best objective so far, y of variance 1."""

    def on_phase(self, phase: Phase) -> None:
        """A phase is done."""

    def on_end(self, result: FitResult) -> None:
        """The fit is over; the network holds the best that was found."""


@contextmanager
def watching(observer: FitObserver | None, progress: bool | None) -> Iterator[FitObserver]:
    """Yield the observer that was given, else a bar if `progress`, or None and stderr a terminal; else a silent one."""
    if observer is not None:
        yield observer
        return
    if not (sys.stderr.isatty() if progress is None else progress):
        yield FitObserver()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    with Progress(
        TextColumn("{task.fields[phase]}"),
        BarColumn(),
        TextColumn("loss {task.fields[loss]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task("", total=1, phase="fit", loss="-")

        class Bar(FitObserver):
            """A bar a phase, in one line that goes away at the end."""

            def on_phase_start(self, name: str, grid: int | None, iterations: int) -> None:
                bar.update(task, completed=0, total=iterations, phase=name if grid is None else f"{name} {grid}")

            def on_step(self, iteration: int, loss: float) -> None:
                bar.update(task, completed=iteration, loss=f"{(2 * loss) ** 0.5:.2e}")

        yield Bar()
