"""A trained model on the disk, as a run or alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from ..models import KAN, FasterKANvolver
from ..models.pretrained import CheckpointError, from_pretrained
from ..train import RunFolder, RunFolderError, TrainConfig


@dataclasses.dataclass(frozen=True)
class Saved:
    """A model with what is known about it."""

    model: KAN | FasterKANvolver
    folder: Path
    """Where its `model.safetensors` lies."""
    config: TrainConfig | None
    """How it was trained, None for a model without a run."""
    result: dict[str, Any] | None
    """What `result.json` says, None where there is none."""


def load(path: Path) -> Saved:
    """Return the model of a run folder or of a folder that `save_pretrained` wrote.

    Raises:
        RunFolderError, CheckpointError: the folder holds neither, or a file in it is damaged.
    """
    run = RunFolder(path)
    if not path.is_dir():
        raise RunFolderError(f"{path} is no folder; give one that `fasterkan train` or `save_pretrained` wrote")
    if not run.is_run():
        model = from_pretrained(path)
        if not isinstance(model, KAN | FasterKANvolver):
            raise CheckpointError(f"{path} holds a {type(model).__name__}, which this program does not know")
        return Saved(model, path, None, None)
    return Saved(run.load_model(), run.model, run.load_config(), run.load_result())
