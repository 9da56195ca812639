"""A whole run: data, network, training, the one look at the test images, and the folder that keeps it all."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ..data import ImageDataset, train_validation_test
from ..models import FasterKAN
from .config import TrainConfig
from .errors import TrainingInterrupted
from .evaluation import Evaluation, evaluate
from .folder import RunFolder
from .loop import resolve_device, train
from .machine import machine, versions
from .observers import JsonLines, Observer
from .result import TrainResult

logger = logging.getLogger("fasterkan")


@dataclasses.dataclass(frozen=True)
class RunResult:
    """The outcome of `run`."""

    training: TrainResult
    """What training told, epoch by epoch."""
    test: Evaluation
    """The test images, seen once, by the weights that were kept."""

    def to_dict(self) -> dict[str, Any]:
        """Return what `result.json` holds besides versions and machine."""
        kept = self.training.kept
        return {
            "test_accuracy": self.test.accuracy,
            "test_loss": self.test.loss,
            "test_rows": self.test.rows,
            "validation_accuracy": kept.validation_accuracy,
            "validation_loss": kept.validation_loss,
            "kept_epoch": kept.epoch,
            "training_seconds": self.training.training_seconds,
            "seconds_with_validation": self.training.seconds,
            "seconds_to_milestone": self.training.seconds_to(),
        }


def run(
    config: TrainConfig, folder: str | Path, observers: Sequence[Observer] = (), *, overwrite: bool = False
) -> RunResult:
    """Train a FasterKAN as configured and keep the run in a folder.

    Everything that can be refused is refused before the folder is touched. The folder gets `config.json` first, a line
    of `metrics.jsonl` after each epoch, and `model/` and `result.json` at the end.

    Args:
        config: data set, network, training.
        folder: for the run; not there yet, or empty.
        observers: told of every step and epoch.
        overwrite: replace a run that lies in the folder.

    Raises:
        RunFolderError: the folder holds something already.
        DataError: the data set cannot be had.
        ValueError: network and data do not fit together, or the device is not there.
        TrainingError: a loss is not finite.
        TrainingInterrupted: Ctrl-C; if an epoch was finished, `model/` holds the weights of an epoch, and the test
            images were not looked at.
    """
    place = RunFolder(folder)
    place.check_free(overwrite=overwrite)
    device = resolve_device(config.device)
    train_set, validation_set, test_set = train_validation_test(config.dataset, config.data_root)
    check_fit(config.layers, train_set)
    model = build_model(config)
    place.begin(config)
    try:
        training = train(model, train_set, validation_set, config, [JsonLines(place.metrics), *observers])
    except TrainingInterrupted as interruption:
        if interruption.result.epochs:
            place.save_model(model)
        raise
    result = RunResult(training, evaluate(model, test_set))
    place.save_model(model)
    place.save_result({**result.to_dict(), "versions": versions(), "machine": machine(device)})
    logger.info("run kept in %s", place.path)
    return result


def build_model(config: TrainConfig) -> FasterKAN:
    """Return the network of a configuration with the initial weights of its seed."""
    model = FasterKAN(
        config.layers,
        config.grid_min,
        config.grid_max,
        config.num_grids,
        config.exponent,
        config.inv_denominator,
        config.train_grid,
        config.train_inv_denominator,
        norm_gain=config.norm_gain,
        generator=torch.Generator().manual_seed(config.seed),
    )
    if config.freeze_input_norm:
        model.layers[0].norm.requires_grad_(False)
    return model


def check_fit(layers: Sequence[int], data: ImageDataset) -> None:
    """Raise ValueError unless the widths begin with the number of pixels and end with the number of classes."""
    pixels = data.images[0].numel()
    if layers[0] != pixels or layers[-1] != data.num_classes:
        raise ValueError(
            f"layers {','.join(map(str, layers))} do not fit {data.name}: it has {pixels} pixels and "
            f"{data.num_classes} classes, so layers must be {pixels},...,{data.num_classes}"
        )
