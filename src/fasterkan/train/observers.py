"""Who watches a training run: the loop tells, observers show or write."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from .config import TrainConfig
from .result import EpochMetrics, TrainResult


class Observer:
    """Hears of a training run as it goes; every method does nothing until a subclass says otherwise."""

    def on_start(self, config: TrainConfig, steps: int) -> None:
        """Training begins; it will take `steps` steps in all."""

    def on_step(self, step: int, loss: float) -> None:
        """Step number `step`, from 1, is done, with this loss; told of every step on a CPU, of some elsewhere."""

    def on_epoch(self, metrics: EpochMetrics) -> None:
        """An epoch and its validation are done."""

    def on_end(self, result: TrainResult) -> None:
        """Training is over, to the end or interrupted by Ctrl-C; the model holds the chosen weights."""


class JsonLines(Observer):
    """Write the metrics of each epoch as one line of JSON, at once, so that a reader can follow the file.

    Args:
        path: the file; written anew.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_start(self, config: TrainConfig, steps: int) -> None:
        self.path.write_text("", encoding="utf-8")

    def on_epoch(self, metrics: EpochMetrics) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(dataclasses.asdict(metrics), allow_nan=False) + "\n")
