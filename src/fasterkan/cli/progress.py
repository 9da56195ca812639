"""The progress of `fasterkan train`: a bar on a terminal, and one line per epoch elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from ..train import EpochMetrics, Observer, TrainConfig, TrainResult
from .text import percent

_SMOOTHING = 0.98
"""Smoothing of the loss in the bar: about the mean of the last 50 steps."""


@contextmanager
def watch() -> Iterator[Observer]:
    """Yield the observer for stdout, and restore the terminal at the end, also after an error."""
    console = Console()
    if not console.is_terminal:
        yield EpochLines()
        return
    with Progress(
        TextColumn("epoch {task.fields[epoch]}"),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[speed]} it/s · loss {task.fields[loss]} · validation {task.fields[validation]} ·"),
        TimeRemainingColumn(),
        TextColumn("left"),
        console=console,
        expand=True,
    ) as progress:
        yield Bar(progress)


class EpochLines(Observer):
    """One plain line for each epoch."""

    def on_start(self, config: TrainConfig, steps: int) -> None:
        self.epochs = config.epochs

    def on_resume(self, steps: Sequence[int], result: TrainResult) -> None:
        typer.echo(f"resumed after {steps[-1]} steps, {len(result.epochs)} of {self.epochs} epochs done")

    def on_epoch(self, metrics: EpochMetrics) -> None:
        left = (self.epochs - metrics.epoch) * metrics.seconds / metrics.epoch
        typer.echo(
            f"epoch {metrics.epoch}/{self.epochs}  {metrics.steps_per_second:.1f} it/s  loss {metrics.loss:.4f}  "
            f"validation {percent(metrics.validation_accuracy)}  {metrics.seconds:.1f} s, {left:.0f} s left"
        )


class Bar(Observer):
    """A progress bar over all steps.

    Args:
        progress: the display of rich, which the caller starts and stops.
    """

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def on_start(self, config: TrainConfig, steps: int) -> None:
        self.epochs, self.loss, self.steps_an_epoch = config.epochs, 0.0, steps // config.epochs
        self.task = self.progress.add_task(
            "", total=steps, epoch=f"1/{config.epochs}", speed="-", loss="-", validation="-"
        )

    def on_resume(self, steps: Sequence[int], result: TrainResult) -> None:
        self.progress.update(self.task, completed=steps[-1], epoch=f"{len(result.epochs) + 1}/{self.epochs}")
        if result.epochs:
            self.progress.update(self.task, validation=percent(result.epochs[-1].validation_accuracy))

    def on_step(self, step: int, loss: float) -> None:
        self.loss = loss if self.loss == 0 else _SMOOTHING * self.loss + (1 - _SMOOTHING) * loss
        speed = self.progress.tasks[self.task].speed
        self.progress.update(
            self.task,
            completed=step,
            epoch=f"{1 + (step - 1) // self.steps_an_epoch}/{self.epochs}",
            speed="-" if speed is None else f"{speed:.1f}",
            loss=f"{self.loss:.4f}",
        )

    def on_epoch(self, metrics: EpochMetrics) -> None:
        self.progress.update(
            self.task,
            completed=metrics.step,
            speed=f"{metrics.steps_per_second:.1f}",
            validation=percent(metrics.validation_accuracy),
        )
