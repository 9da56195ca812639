"""The picture of the course of a training run or a fit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...fitting.result import FitResult
from ...train import EpochMetrics, TrainResult
from ._style import BLUE, FAINT, INK, ORANGE, SMALL, TEXT, new_figure, plain_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def training(source: str | Path | TrainResult | FitResult, *, title: str | None = None) -> Figure:
    """Draw the course of the loss.

    For a training run: training loss, validation loss and validation accuracy for each epoch. For a fit: the losses of
    each phase's networks, with a line through the best ones, and the held-out error.

    Args:
        source: the folder of a run, its `metrics.jsonl`, a `TrainResult`, or the result of `fk.fit`.
        title: the title.

    Returns:
        A matplotlib Figure, outside pyplot; its lines have labels.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError, ValueError: the source is none of these, or has no epoch.
    """
    if isinstance(source, FitResult):
        return _fit(source, title)
    if isinstance(source, TrainResult):
        epochs: Sequence[EpochMetrics] = source.epochs
    elif isinstance(source, str | Path):
        epochs = _read(Path(source))
    else:
        raise TypeError(
            f"plot.training: source must be a run's folder, a TrainResult or the result of fk.fit, got "
            f"{type(source).__name__}"
        )
    if not epochs:
        raise ValueError("plot.training: no epoch was finished, so there is nothing to draw")
    figure = new_figure(7.2, 2.9)
    numbers = [m.epoch for m in epochs]
    loss = plain_axes(figure, 0.65, 0.55, 2.7, 1.95)
    _line(loss, numbers, [m.loss for m in epochs], BLUE, "training")
    _line(loss, numbers, [m.validation_loss for m in epochs], ORANGE, "validation")
    accuracy = plain_axes(figure, 4.2, 0.55, 2.7, 1.95)
    _line(accuracy, numbers, [100 * m.validation_accuracy for m in epochs], ORANGE, "validation")
    _finish(loss, "epoch", "loss (nats)")
    _finish(accuracy, "epoch", "accuracy (%)")
    if title:
        figure.text(0.5, 0.94, title, ha="center", fontsize=TEXT + 1, color=INK, parse_math=False)
    return figure


def _read(path: Path) -> list[EpochMetrics]:
    """The epochs of a run's folder or of its `metrics.jsonl`."""
    file = path / "metrics.jsonl" if path.is_dir() else path
    if not file.is_file():
        raise ValueError(f"plot.training: {file} is missing; give a folder that `fasterkan train` wrote")
    try:
        return [EpochMetrics(**json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines() if line]
    except (TypeError, ValueError) as error:
        raise ValueError(f"plot.training: {file} does not hold a run's metrics: {error}") from error


def _fit(result: FitResult, title: str | None) -> Figure:
    figure = new_figure(max(4.2, 1.5 + 0.75 * len(result.phases)), 3.2)
    axes = plain_axes(figure, 0.75, 0.75, max(4.2, 1.5 + 0.75 * len(result.phases)) - 1.0, 2.05)
    places = list(range(1, len(result.phases) + 1))
    for place, phase in zip(places, result.phases, strict=True):
        losses = [attempt.loss for attempt in phase.attempts]
        axes.plot([place] * len(losses), losses, "o", color=FAINT, markersize=4, zorder=1, gid=f"attempts {place}")
    _line(axes, places, [phase.best.loss for phase in result.phases], BLUE, "fitted rows")
    held = [(place, phase.best.held_out) for place, phase in zip(places, result.phases, strict=True)]
    seen = [(place, float(value)) for place, value in held if value is not None]
    if seen:
        _line(axes, [place for place, _ in seen], [value for _, value in seen], ORANGE, "held out")
    axes.set_xticks(places, [_name(phase) for phase in result.phases], fontsize=SMALL, parse_math=False)
    _finish(axes, "", "error", whole=False)
    heading = title or f"ended after {result.seconds:.1f} s: {result.stopped}"
    axes.set_title(heading, fontsize=TEXT, color=INK, parse_math=False)
    return figure


def _name(phase: Any) -> str:
    return phase.name if phase.grid is None else f"{phase.name}\ngrid {phase.grid}"


def _line(axes: Axes, x: Sequence[int], y: Sequence[float], color: str, label: str) -> None:
    axes.plot(x, y, color=color, linewidth=1.6, marker="o", markersize=3.2, label=label)


def _finish(axes: Axes, xlabel: str, ylabel: str, *, whole: bool = True) -> None:
    """Set labels, a legend for more than one line, and a log scale if the loss spans several powers of ten."""
    drawn = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in axes.lines])
    values = drawn[np.isfinite(drawn) & (drawn > 0)]
    if len(values) and values.max() > 20 * values.min():
        axes.set_yscale("log")
    axes.set_xlabel(xlabel, fontsize=TEXT, color=INK)
    axes.set_ylabel(ylabel, fontsize=TEXT, color=INK)
    axes.tick_params(which="both", labelsize=SMALL, labelcolor=INK)
    axes.grid(axis="y", color=FAINT, linewidth=0.5)
    axes.set_axisbelow(True)
    if whole:
        axes.locator_params(axis="x", integer=True)
    if len([line for line in axes.lines if not str(line.get_label()).startswith("_")]) > 1:
        axes.legend(fontsize=SMALL, frameon=False)
