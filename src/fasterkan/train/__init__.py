"""Training on labelled images: configuration, training loop, evaluation, and runs in folders."""

from __future__ import annotations

from .checkpoint import Checkpoints, Snapshot
from .config import TrainConfig, choices, field_docs
from .environment import machine, versions
from .errors import RunFolderError, TrainingError, TrainingInterrupted
from .evaluation import Evaluation, evaluate
from .folder import RunFolder
from .loop import train
from .networks import build_model, check_fit
from .observers import JsonLines, Observer
from .recipes import RECIPES, recipe
from .result import MILESTONE, EpochMetrics, TrainResult
from .runs import RunResult, run
from .seeds import run_seeds
from .tensorboard import TensorBoard

__all__ = [
    "MILESTONE",
    "RECIPES",
    "Checkpoints",
    "EpochMetrics",
    "Evaluation",
    "JsonLines",
    "Observer",
    "RunFolder",
    "RunFolderError",
    "RunResult",
    "Snapshot",
    "TensorBoard",
    "TrainConfig",
    "TrainResult",
    "TrainingError",
    "TrainingInterrupted",
    "build_model",
    "check_fit",
    "choices",
    "evaluate",
    "field_docs",
    "machine",
    "recipe",
    "run",
    "run_seeds",
    "train",
    "versions",
]
