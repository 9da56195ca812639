"""Who watches a training run: the loop tells, observers show or write."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from .._files import write_atomically
from .config import TrainConfig
from .result import EpochMetrics, TrainResult


class Observer:
    """Hears of a training run as it goes; every method does nothing until a subclass says otherwise."""

    def on_start(self, config: TrainConfig, steps: int) -> None:
        """Training begins; it will take `steps` steps in all."""

    def on_resume(self, steps: Sequence[int], result: TrainResult) -> None:
        """The run goes on with these epochs done; `steps` were done each time it was taken up again."""

    def on_step(self, step: int, loss: float) -> None:
        """Step number `step`, from 1, is done, with this loss; told of every step on a CPU, of some elsewhere."""

    def on_epoch(self, metrics: EpochMetrics) -> None:
        """An epoch and its validation are done."""

    def on_end(self, result: TrainResult) -> None:
        """Training is over, to the end or interrupted by Ctrl-C; the model holds the chosen weights."""


class JsonLines(Observer):
    """Write the metrics of each epoch as one line of JSON, at once, so that a reader can follow the file.

    Epochs that ended after the run was resumed say `"resumed": true`.

    Args:
        path: the file; written anew.
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
