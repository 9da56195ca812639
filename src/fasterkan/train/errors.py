"""Exceptions that end a training run early."""

from __future__ import annotations

from .result import TrainResult


class TrainingError(RuntimeError):
    """Training cannot continue, for example because a loss is not finite; the message says when, and what to try."""


class TrainingInterrupted(KeyboardInterrupt):
    """Ctrl-C was pressed during training; the model has the weights of the epoch `result.kept`.

    Args:
        result: the finished epochs. There may be none.
    """

    def __init__(self, result: TrainResult) -> None:
        super().__init__(f"interrupted after {len(result.epochs)} epochs")
        self.result = result


class RunFolderError(ValueError):
    """A run folder cannot be used: it is not empty, it is not a run, or a file in it is missing or damaged."""
