"""Loading a trained model from a run, or from a folder of its own."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from ..data import ImageDataset, is_known, names, train_validation_test
from ..models import Pretrained, from_pretrained
from ..train import RunFolder, RunFolderError, TrainConfig, check_fit
from .fitted import is_fitted

SPLITS = ("train", "validation", "test")
DATA_SET = f"Data set: {', '.join(names())}, or a folder of images."
DATA_ROOT = "Folder with the files of the data set."
"""Help of the options of `load_with_images`."""


@dataclasses.dataclass(frozen=True)
class SavedModel:
    """A model with the known facts about it."""

    model: Pretrained
    folder: Path
    """The folder of its `model.safetensors`."""
    config: TrainConfig | None
    """The configuration of its training; None for a model without a run."""
    result: dict[str, Any] | None
    """The content of `result.json`; None if there is none."""


def load(path: Path) -> SavedModel:
    """Return the model of a run, or of a folder that `save_pretrained` wrote.

    Raises:
        RunFolderError, CheckpointError: the folder is neither of these, or a file in it is damaged.
    """
    run = RunFolder(path)
    if not path.is_dir():
        raise RunFolderError(f"{path} is not a folder; give one that `fasterkan train` or `save_pretrained` wrote")
    if not run.is_run():
        return SavedModel(from_pretrained(path), path, None, None)
    return SavedModel(run.load_model(), run.model, run.load_config(), run.load_result())


def white_of(config: TrainConfig | None, dataset: str) -> float | None:
    """Return the value of white with which a run read its images, for a folder of images; None for other data sets."""
    return None if config is None or is_known(dataset) else config.white


def load_with_images(
    path: Path, split: str, option: str, dataset: str | None, data_root: str | None
) -> tuple[SavedModel, ImageDataset]:
    """Return the model of a folder, and one split of a data set (by default that of its run).

    Args:
        path: as in `load`.
        split: one of `SPLITS`.
        option: the option of the command that names the data set, for the message.
        dataset: the data set that the user named; None for that of the run.
        data_root: the folder of its files that the user named; None for that of the run.

    Raises:
        ValueError: the split is unknown, no data set is named, or the data set does not fit the model.
    """
    if split not in SPLITS:
        raise ValueError(f"--split: unknown {split!r}; known: {', '.join(SPLITS)}")
    saved = load(path)
    if is_fitted(path):
        raise ValueError(
            f"{path} was fitted to a table, but this command needs images. For a table with the same columns, use "
            f"`fasterkan predict {path} new.csv`, which also reports the errors"
        )
    if saved.config is not None:
        dataset = dataset or saved.config.dataset
        data_root = data_root or saved.config.data_root
    if dataset is None:
        raise ValueError(f"{path} is a model without a run; name the data set: {option} mnist")
    images = train_validation_test(dataset, data_root, white=white_of(saved.config, dataset))[SPLITS.index(split)]
    check_fit(saved.model, images)
    return saved, images
