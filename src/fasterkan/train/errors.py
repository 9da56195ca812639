"""How a training run ends before its time."""

from __future__ import annotations

from .result import TrainResult


class TrainingError(RuntimeError):
    """Training cannot go on, such as when the loss is not finite; the message says at which step and what to try."""


class TrainingInterrupted(KeyboardInterrupt):
    """Ctrl-C arrived during training; the model holds the weights of the epoch `result.kept`.

    Args:
        result: the epochs that were finished, perhaps none.
    """

    def __init__(self, result: TrainResult) -> None:
        super().__init__(f"interrupted after {len(result.epochs)} epochs")
        self.result = result


class RunFolderError(ValueError):
    """A run folder cannot be used as asked: it is not empty, not a run, or a file in it is missing or damaged."""
