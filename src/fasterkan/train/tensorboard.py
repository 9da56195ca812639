"""Writing the curves of a run for TensorBoard."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .config import TrainConfig
from .observers import Observer
from .result import EpochMetrics, TrainResult

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

_CURVES = ("loss", "lr", "validation_loss", "validation_accuracy", "steps_per_second")


class TensorBoard(Observer):
    """Write the losses from `on_step` and the metrics of each epoch, over steps.

    Args:
        path: folder for the event files.

    Raises:
        ValueError: TensorBoard is not installed.
    """

    def __init__(self, path: Path) -> None:
        if importlib.util.find_spec("tensorboard") is None:
            raise ValueError("TensorBoard is not installed; run: pip install 'fasterkan[train]'")
        self.path = path
        self._writer: SummaryWriter | None = None

    def on_start(self, config: TrainConfig, steps: int) -> None:
        self._open(None)

    def on_resume(self, steps: Sequence[int], result: TrainResult) -> None:
        self._open(steps[-1] + 1)

    def on_step(self, step: int, loss: float) -> None:
        self._add("step/loss", loss, step)

    def on_epoch(self, metrics: EpochMetrics) -> None:
        for name in _CURVES:
            self._add(f"epoch/{name}", getattr(metrics, name), metrics.step)

    def on_end(self, result: TrainResult) -> None:
        if self._writer is not None:
            self._writer.close()

    def _open(self, first_step: int | None) -> None:
        from torch.utils.tensorboard import SummaryWriter

        if self._writer is not None:
            self._writer.close()
        self._writer = SummaryWriter(str(self.path), purge_step=first_step)

    def _add(self, name: str, value: float, step: int) -> None:
        assert self._writer is not None, "on_start comes first"
        self._writer.add_scalar(name, value, step)
