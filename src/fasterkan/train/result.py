"""What a training run tells: numbers of each epoch, and of the whole."""

from __future__ import annotations

import dataclasses
from typing import Literal

MILESTONE = 0.9772
"""Test accuracy of the original FasterKAN on MNIST, reached in 195 s on a laptop GPU."""


@dataclasses.dataclass(frozen=True)
class EpochMetrics:
    """One epoch of training and the validation after it."""

    epoch: int
    """Number of the epoch, from 1."""
    step: int
    """Steps taken since the start."""
    loss: float
    """Mean training loss of the epoch, label smoothing and shifts included, in nats."""
    lr: float
    """Learning rate of the epoch's last step."""
    validation_loss: float
    """Mean cross-entropy of the validation images in nats."""
    validation_accuracy: float
    """Share of validation images that are right, 0 to 1."""
    steps_per_second: float
    """Speed of the epoch without its validation."""
    training_seconds: float
    """Time spent on training since the start."""
    seconds: float
    """Time since the start, validation included."""


@dataclasses.dataclass(frozen=True)
class TrainResult:
    """The whole of a training run; the model holds the weights of the epoch `kept`."""

    epochs: tuple[EpochMetrics, ...]
    """One entry for each epoch that was finished."""
    keep: Literal["best", "last"] = "best"
    """Which epoch is kept."""

    @property
    def kept(self) -> EpochMetrics:
        """The epoch whose weights are kept."""
        return self.best if self.keep == "best" else self.epochs[-1]

    @property
    def best(self) -> EpochMetrics:
        """The epoch of the highest validation accuracy, the last one of several."""
        return max(self.epochs, key=lambda m: (m.validation_accuracy, m.epoch))

    @property
    def epochs_without_gain(self) -> int:
        """Epochs since validation accuracy first reached its highest value."""
        first = max(self.epochs, key=lambda m: (m.validation_accuracy, -m.epoch), default=None)
        return 0 if first is None else self.epochs[-1].epoch - first.epoch

    @property
    def training_seconds(self) -> float:
        """Time spent on training, without validation."""
        return self.epochs[-1].training_seconds if self.epochs else 0.0

    @property
    def seconds(self) -> float:
        """Time of the whole run, validation included."""
        return self.epochs[-1].seconds if self.epochs else 0.0

    def seconds_to(self, accuracy: float = MILESTONE) -> float | None:
        """Return the time, validation included, after which validation accuracy first passed a value; None if never."""
        return next((m.seconds for m in self.epochs if m.validation_accuracy > accuracy), None)
