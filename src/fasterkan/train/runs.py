"""A whole run: data, network, training, the one look at the test images, and the folder that keeps it all."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ..data import ImageDataset, train_validation_test
from ..models import FasterKAN, FasterKANvolver
from .checkpoint import Checkpoints, Snapshot
from .config import TrainConfig
from .environment import machine, versions
from .errors import RunFolderError, TrainingError, TrainingInterrupted
from .evaluation import Evaluation, evaluate
from .folder import RunFolder
from .loop import resolve_device, train
from .networks import build_model, with_layers
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
    resumed_from: tuple[int, ...] = ()
    """The steps after which the run was taken up again, none where it went through."""

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
    """Train a network as configured and keep the run in a folder.

    Everything that can be refused is refused before the folder is touched. The folder gets `config.json` first, a line
    of `metrics.jsonl` after each epoch, `checkpoints/` while it goes on, and `model/` and `result.json` at the end.

    Args:
        config: data set, network, training.
        folder: for the run; not there yet, or empty.
        observers: told of every step and epoch.
        overwrite: replace a run that lies in the folder.
        resume: go on with the run that lies in the folder, from its newest checkpoint that is whole; to the same bits
            as if it had never stopped, on the same machine with the same PyTorch and number of threads.

    Raises:
        RunFolderError: the folder holds something already, or nothing that `config` could resume; or another process
            trains in it.
        DataError: the data set cannot be had.
        ValueError: network and data do not fit together, or the device is not there.
        TrainingError: a loss is not finite, or the folder cannot be written any more, the disk being full say; former
            checkpoints are as they were.
        TrainingInterrupted: Ctrl-C; if an epoch was finished, `model/` holds the weights of an epoch, and the test
            images were not looked at.
        OSError: the folder cannot be written to begin with.
    """
    place = RunFolder(folder)
    if not resume:
        place.check_free(overwrite=overwrite)
    resolve_device(config.device)
    parts = train_validation_test(config.dataset, config.data_root)
    config = with_layers(config, parts[0])
    if resume:
        place.check_resumable(config)
    model = build_model(config, parts[0].images.shape[1:])
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
                "mend it, then go on with resume=True (--resume)"
            ) from error
    logger.info("run kept in %s", place.path)
    return result


def _carry_out(
    model: FasterKAN | FasterKANvolver,
    parts: Sequence[ImageDataset],
    config: TrainConfig,
    place: RunFolder,
    observers: Sequence[Observer],
    checkpoints: Checkpoints,
    snapshot: Snapshot | None,
) -> RunResult:
    """Train, look at the test images once, and write what is kept."""
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
    about = {"versions": versions(), "machine": machine(resolve_device(config.device))}
    place.save_result({**result.to_dict(), **about})
    checkpoints.remove()
    return result


def _newest(checkpoints: Checkpoints, config: TrainConfig) -> Snapshot | None:
    """The checkpoint to go on from; what may cost the promise of the same bits is said."""
    snapshot = checkpoints.newest()
    if snapshot is None:
        logger.info("%s holds no checkpoint yet; the run begins anew", checkpoints.path)
        return None
    try:
        names = TrainConfig.from_dict(snapshot.facts["config"]).differences(config)
    except (TypeError, ValueError) as error:
        raise RunFolderError(f"{checkpoints.latest} was made by another version: {error}") from error
    if names:
        raise RunFolderError(
            f"{checkpoints.latest} was made with another {', '.join(names)} than config.json says; restore config.json"
        )
    now = {**versions(), "threads": torch.get_num_threads(), "device": resolve_device(config.device).type}
    then = {**snapshot.facts["versions"], **{name: snapshot.facts[name] for name in ("threads", "device")}}
    if changed := [f"{name} {then.get(name)} to {now[name]}" for name in now if now[name] != then.get(name)]:
        logger.warning("since the checkpoint there was a change (%s): the last bits may differ", ", ".join(changed))
    logger.info("resumed after step %d, from %s", snapshot.step, checkpoints.latest)
    return snapshot
