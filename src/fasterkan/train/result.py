"""The results of a training run: the metrics of each epoch, and of the whole run."""

from __future__ import annotations

import dataclasses
from typing import Literal

MILESTONE = 0.9772
"""Published test accuracy of the original FasterKAN on MNIST, after 195 s on a laptop GPU."""


@dataclasses.dataclass(frozen=True)
class EpochMetrics:
    """The metrics of one epoch of training and of the validation after it."""

    epoch: int
    """Number of the epoch, from 1."""
    step: int
    """Number of steps since the start."""
    loss: float
    """Mean training loss of the epoch in nats, with label smoothing and augmentation."""
    lr: float
    """Learning rate of the last step of the epoch."""
    validation_loss: float
    """Mean cross-entropy of the validation images in nats."""
    validation_accuracy: float
    """Share of validation images that are classified correctly, 0 to 1."""
    steps_per_second: float
    """Training speed of the epoch, without validation."""
    training_seconds: float
    """Training time since the start, without validation."""
    seconds: float
    """Time since the start, with validation."""


@dataclasses.dataclass(frozen=True)
class TrainResult:
    """The result of a training run; the model has the weights of the epoch `kept`."""

    epochs: tuple[EpochMetrics, ...]
    """One entry for each finished epoch."""
    keep: Literal["best", "last"] = "best"
    """The epoch to keep: the best on validation, or the last."""

    @property
    def kept(self) -> EpochMetrics:
        """The epoch whose weights are kept."""
        return self.best if self.keep == "best" else self.epochs[-1]

    @property
    def best(self) -> EpochMetrics:
        """The epoch with the highest validation accuracy; if there are several, the last of them."""
        return max(self.epochs, key=lambda m: (m.validation_accuracy, m.epoch))

    @property
    def epochs_without_gain(self) -> int:
        """Number of epochs since the validation accuracy first reached its highest value."""
        first = max(self.epochs, key=lambda m: (m.validation_accuracy, -m.epoch), default=None)
        return 0 if first is None else self.epochs[-1].epoch - first.epoch

    @property
    def training_seconds(self) -> float:
        """Training time, without validation."""
        return self.epochs[-1].training_seconds if self.epochs else 0.0

    @property
    def seconds(self) -> float:
        """Time of the whole run, with validation."""
        return self.epochs[-1].seconds if self.epochs else 0.0

    def seconds_to(self, accuracy: float = MILESTONE) -> float | None:
        """Return the time, with validation, until validation accuracy first passed a value; None if it never did."""
        return next((m.seconds for m in self.epochs if m.validation_accuracy > accuracy), None)
