"""Observers of a fit: the fit sends them events, and they show them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from .result import FitResult, Phase


class FitObserver:
    """Receives the events of a fit; every method does nothing unless a subclass overrides it."""

    def on_phase_start(self, name: str, grid: int | None, iterations: int) -> None:
        """Called when a phase begins; it takes at most `iterations` iterations."""

    def on_step(self, iteration: int, loss: float) -> None:
        """Called after an iteration of the phase, counted from 1, with the best objective so far (y has variance 1)."""

    def on_phase(self, phase: Phase) -> None:
        """Called when a phase has ended."""

    def on_end(self, result: FitResult) -> None:
        """Called when the fit has ended; the network then has the best parameters that were found."""


@contextmanager
def watching(observer: FitObserver | None, progress: bool | None) -> Iterator[FitObserver]:
    """Yield the given observer, else a bar if `progress` (None: if stderr is a terminal), else a silent observer."""
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
            """A progress bar for each phase, in one line that is removed at the end."""

            def on_phase_start(self, name: str, grid: int | None, iterations: int) -> None:
                bar.update(task, completed=0, total=iterations, phase=name if grid is None else f"{name} {grid}")

            def on_step(self, iteration: int, loss: float) -> None:
                bar.update(task, completed=iteration, loss=f"{(2 * loss) ** 0.5:.2e}")

        yield Bar()
