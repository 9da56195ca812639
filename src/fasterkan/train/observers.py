"""Observers of a training run: the loop calls them, and they show or write the progress."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from .._files import write_atomically
from .config import TrainConfig
from .result import EpochMetrics, TrainResult


class Observer:
    """Base class of objects that the training loop calls; its methods do nothing."""

    def on_start(self, config: TrainConfig, steps: int) -> None:
        """Called when training begins; `steps` is the number of steps of the whole run."""

    def on_resume(self, steps: Sequence[int], result: TrainResult) -> None:
        """Called when a run is resumed, with its finished epochs; `steps` are the steps after which it was resumed."""

    def on_step(self, step: int, loss: float) -> None:
        """Called after step number `step` (from 1) with its loss; on a GPU, only after some of the steps."""

    def on_epoch(self, metrics: EpochMetrics) -> None:
        """Called after an epoch and its validation."""

    def on_end(self, result: TrainResult) -> None:
        """Called at the end, also after Ctrl-C; the model then has the kept weights."""


class JsonLines(Observer):
    """Write the metrics of each epoch as one line of JSON, immediately after the epoch.

    Epochs that ended after the run was resumed have `"resumed": true`.

    Args:
        path: the file. An existing file is replaced.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._resumed_after: int | None = None

    def on_start(self, config: TrainConfig, steps: int) -> None:
        self.path.write_text("", encoding="utf-8")

    def on_resume(self, steps: Sequence[int], result: TrainResult) -> None:
        self._resumed_after = min(steps)
        write_atomically({self.path: "".join(map(self._line, result.epochs)).encode()})

    def on_epoch(self, metrics: EpochMetrics) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(self._line(metrics))

    def _line(self, metrics: EpochMetrics) -> str:
        line: dict[str, object] = dataclasses.asdict(metrics)
        if self._resumed_after is not None and metrics.step > self._resumed_after:
            line["resumed"] = True
        return json.dumps(line, allow_nan=False) + "\n"
