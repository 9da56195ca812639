"""A complete run: data, network, training, one test at the end, and the folder of the run."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ..data import ImageDataset, train_validation_test
from ..models import Pretrained
from .checkpoint import Checkpoints, Snapshot
from .config import TrainConfig
from .environment import machine, versions
from .errors import RunFolderError, TrainingError, TrainingInterrupted
from .evaluation import Evaluation, evaluate
from .folder import RunFolder
from .loop import resolve_device, train
from .networks import build_model, check_batches, with_layers
from .observers import JsonLines, Observer
from .result import TrainResult

logger = logging.getLogger("fasterkan")


@dataclasses.dataclass(frozen=True)
class RunResult:
    """The result of `run`."""

    training: TrainResult
    """The metrics of each epoch."""
    test: Evaluation
    """The evaluation of the kept weights on the test images, which are used once."""
    resumed_from: tuple[int, ...] = ()
    """The steps after which the run was resumed; empty if it was not interrupted."""

    def to_dict(self) -> dict[str, Any]:
        """Return the content of `result.json`, without versions and machine."""
        kept = self.training.kept
        return {
            "test_accuracy": self.test.accuracy,
            "test_loss": self.test.loss,
            "test_rows": self.test.rows,
            "validation_accuracy": kept.validation_accuracy,
            "validation_loss": kept.validation_loss,
            "kept_epoch": kept.epoch,
            "epochs": len(self.training.epochs),
            "resumed_from": list(self.resumed_from),
            "training_seconds": self.training.training_seconds,
            "seconds_with_validation": self.training.seconds,
            "seconds_to_milestone": self.training.seconds_to(),
        }


def run(
    config: TrainConfig,
    folder: str | Path,
    observers: Sequence[Observer] = (),
    *,
    overwrite: bool = False,
    resume: bool = False,
) -> RunResult:
    """Train a network with a configuration and keep the run in a folder.

    All errors in the arguments are found before the folder is changed. First `config.json` is written. Each epoch adds
    a line to `metrics.jsonl`. During the run there are `checkpoints/`. At the end `model/` and `result.json` are
    written.

    Args:
        config: data set, network and training.
        folder: folder of the run. It must not exist yet, or be empty.
        observers: are called after every step and every epoch.
        overwrite: replace an existing run in the folder.
        resume: continue the run in the folder from its newest undamaged checkpoint. The results are bit-identical to a
            run without interruption, on the same machine with the same PyTorch and number of threads.

    Raises:
        RunFolderError: the folder is not empty; or it has no run that `config` can resume; or another process trains in
            it.
        DataError: the data set cannot be loaded.
        ValueError: network and data do not fit together, or the device is not available.
        TrainingError: a loss is not finite, or the folder can no longer be written, for example because the disk is
            full. Earlier checkpoints are not changed.
        TrainingInterrupted: Ctrl-C was pressed. If an epoch was finished, `model/` has the weights of the kept epoch.
            The test images were not used.
        OSError: the folder cannot be written at the start.
    """
    place = RunFolder(folder)
    if not resume:
        place.check_free(overwrite=overwrite)
    resolve_device(config.device)
    parts = train_validation_test(config.dataset, config.data_root, white=config.white)
    config = with_layers(config, parts[0])
    if resume:
        place.check_resumable(config)
    model = build_model(config, parts[0].images.shape[1:])
    check_batches(model, config, len(parts[0]))
    checkpoints = Checkpoints(place.checkpoints, config.keep_checkpoints, config.checkpoint_minutes)
    with place.hold():
        if resume:
            place.check_resumable(config)
            snapshot = _newest(checkpoints, config)
        else:
            place.check_free(overwrite=overwrite)
            place.begin(config)
            snapshot = None
        try:
            result = _carry_out(model, parts, config, place, observers, checkpoints, snapshot)
        except OSError as error:
            raise TrainingError(
                f"{place.path} cannot be written: {error}; {checkpoints.last_words()}; "
                "fix this, then continue with resume=True (--resume)"
            ) from error
    logger.info("run kept in %s", place.path)
    return result


def _carry_out(
    model: Pretrained,
    parts: Sequence[ImageDataset],
    config: TrainConfig,
    place: RunFolder,
    observers: Sequence[Observer],
    checkpoints: Checkpoints,
    snapshot: Snapshot | None,
) -> RunResult:
    """Train, evaluate the test images once, and write the results."""
    train_set, validation_set, test_set = parts
    watching = [JsonLines(place.metrics), *observers]
    try:
        training = train(
            model, train_set, validation_set, config, watching, checkpoints=checkpoints, resume_from=snapshot
        )
    except TrainingInterrupted as interruption:
        if interruption.result.epochs:
            place.save_model(model)
        raise
    place.save_model(model)
    try:
        test = evaluate(model, test_set)
    except KeyboardInterrupt as error:
        raise TrainingInterrupted(training) from error
    resumed_from = () if snapshot is None else (*snapshot.facts["resumed_from"], snapshot.step)
    result = RunResult(training, test, resumed_from)
    about = {
        "classes": list(test_set.classes),
        "versions": versions(),
        "machine": machine(resolve_device(config.device)),
    }
    place.save_result({**result.to_dict(), **about})
    checkpoints.remove()
    return result


def _newest(checkpoints: Checkpoints, config: TrainConfig) -> Snapshot | None:
    """The checkpoint from which the run continues; a warning says if the results may not be bit-identical."""
    snapshot = checkpoints.newest()
    if snapshot is None:
        logger.info("%s has no checkpoint yet; the run starts from the beginning", checkpoints.path)
        return None
    try:
        names = TrainConfig.from_dict(snapshot.facts["config"]).differences(config)
    except (TypeError, ValueError) as error:
        raise RunFolderError(f"{checkpoints.latest} was made by another version: {error}") from error
    if names:
        raise RunFolderError(
            f"{checkpoints.latest} was made with another {', '.join(names)} than config.json has; restore config.json"
        )
    now = {**versions(), "threads": torch.get_num_threads(), "device": resolve_device(config.device).type}
    then = {**snapshot.facts["versions"], **{name: snapshot.facts[name] for name in ("threads", "device")}}
    if changed := [f"{name} {then.get(name)} to {now[name]}" for name in now if now[name] != then.get(name)]:
        logger.warning("changed since the checkpoint: %s; results may differ in the last bits", ", ".join(changed))
    logger.info("resumed after step %d, from %s", snapshot.step, checkpoints.latest)
    return snapshot
