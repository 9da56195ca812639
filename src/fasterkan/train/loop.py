"""The training loop for one classifier, images in memory, and one device."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from ..data import ImageDataset
from ..nn import update_norms
from .checkpoint import Checkpoints, Snapshot
from .config import TrainConfig
from .divergence import check_finite, diverged
from .errors import TrainingInterrupted
from .evaluation import evaluate
from .interrupts import Interrupts, delayed_interrupts
from .networks import check_batches
from .observers import Observer
from .randomness import own_random_state
from .result import EpochMetrics, TrainResult
from .state import Training


def train(
    model: nn.Module,
    train_set: ImageDataset,
    validation_set: ImageDataset,
    config: TrainConfig,
    observers: Sequence[Observer] = (),
    *,
    checkpoints: Checkpoints | None = None,
    resume_from: Snapshot | None = None,
) -> TrainResult:
    """Train a classifier and leave it with the weights of the best epoch on validation, or of the last (`config.keep`).

    The same seed, data and model give the same weights, bit for bit, on the same machine with the same number of
    threads. This also holds if the run was interrupted and resumed. Of `config`, only the fields about training are
    used, because data sets and network are arguments. Ctrl-C waits for the end of a step. A second Ctrl-C stops at
    once.

    Args:
        model: takes [B, H * W] (or [B, C * H * W]) in [0, 1] and returns logits [B, C]. It is moved to the configured
            device.
        train_set: training images.
        validation_set: images for the validation after each epoch.
        config: optimiser, schedule, batches, augmentation, precision, seed.
        observers: are called after steps and epochs.
        checkpoints: writes the state after each epoch, when a checkpoint is due, and on Ctrl-C. None writes no
            checkpoint.
        resume_from: the state to continue from, such as `checkpoints.newest()`. None starts from the beginning.

    Returns:
        The metrics of every epoch. `TrainResult.kept` is the epoch whose weights the model has.

    Raises:
        TrainingError: a loss is not finite.
        TrainingInterrupted: Ctrl-C was pressed. The model has the weights to keep (`config.keep`) among the finished
            epochs.
        ValueError: a data set is empty, a batch is too small for batch norms, the device is not available, or the state
            is from another run.

    Example:
        >>> result = train(fk.FasterKAN([784, 64, 10]), train_set, validation_set, TrainConfig(epochs=3))
    """
    device = resolve_device(config.device)
    model.to(device)
    check_batches(model, config, len(train_set))
    training = Training(model, train_set, config, device)
    if checkpoints is None:
        checkpoints = Checkpoints(Path(), keep=0)
    interruption: KeyboardInterrupt | None = None
    with (
        _matmul_precision(config.matmul),
        _same_convolutions(),
        own_random_state(device, config.seed),
        delayed_interrupts() as interrupts,
    ):
        if resume_from is not None:
            training.restore(resume_from)
        for observer in observers:
            observer.on_start(config, training.stepper.steps)
            if resume_from is not None:
                observer.on_resume(training.resumed_from, training.result)
        try:
            while not training.over():
                metrics = _epoch(training, validation_set, observers, checkpoints, interrupts)
                training.finish_epoch(metrics)
                for observer in observers:
                    observer.on_epoch(metrics)
                _save(training, checkpoints)
                interrupts.check()
        except KeyboardInterrupt as error:
            interruption = error
            if training.whole and not interrupts.forced:
                _save(training, checkpoints)
    if training.kept:
        model.load_state_dict(training.kept)
    for observer in observers:
        observer.on_end(training.result)
    if interruption is not None:
        raise TrainingInterrupted(training.result) from interruption
    return training.result


def resolve_device(name: str) -> torch.device:
    """Return the device with a name; "auto" is CUDA if it is available, and otherwise the CPU.

    Raises:
        ValueError: there is no such device on this machine.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:  # torch built without CUDA asserts
        reason = str(error).partition("\n")[0]
        raise ValueError(f'device {name!r} cannot be used here: {reason}; try "auto" or "cpu"') from error


def _epoch(
    training: Training,
    validation_set: ImageDataset,
    observers: Sequence[Observer],
    checkpoints: Checkpoints,
    interrupts: Interrupts,
) -> EpochMetrics:
    """Train and validate one epoch, or the rest of it; the time between epochs is not counted."""
    before, steps = training.result, len(training.batches)
    if training.position == 0:
        training.started = time.perf_counter()
    loss = _train_epoch(training, observers, checkpoints, interrupts)
    trained = time.perf_counter()
    with training.evaluated_weights():
        validation = evaluate(training.model, validation_set)
    if not math.isfinite(validation.loss):
        raise diverged("validation loss", validation.loss, training.stepper, checkpoints.last_words())
    spent = trained - training.started
    return EpochMetrics(
        epoch=len(before.epochs) + 1,
        step=training.stepper.step,
        loss=loss,
        lr=training.stepper.lr,
        validation_loss=validation.loss,
        validation_accuracy=validation.accuracy,
        steps_per_second=steps / spent,
        training_seconds=before.training_seconds + spent,
        seconds=before.seconds + time.perf_counter() - training.started,
    )


def _train_epoch(
    training: Training, observers: Sequence[Observer], checkpoints: Checkpoints, interrupts: Interrupts
) -> float:
    """Make the remaining steps of an epoch and return the mean loss of all its steps."""
    model, stepper, position = training.model, training.stepper, training.position
    augmented = round(stepper.steps * (1 - stepper.config.augment_off)) - (stepper.step - position)
    report_every = 1 if stepper.device.type == "cpu" else 50  # on other devices, reading a number waits for the device
    model.train()
    for x, labels in training.batches.epoch(augmented, position):
        training.whole = False
        loss = stepper.gradient(x, labels)
        report = stepper.step % report_every == 0
        if report:
            check_finite(loss, stepper, x, checkpoints.last_words())
        stepper.move()
        update_norms(model)
        if training.average is not None:
            training.average.update(stepper.step)
        training.loss_sum += loss
        training.whole = True
        if report:
            for observer in observers:
                observer.on_step(stepper.step, float(loss))
        if checkpoints.due():
            paused = time.perf_counter()
            _save(training, checkpoints)
            training.started += time.perf_counter() - paused
        interrupts.check()
    return check_finite(training.loss_sum, stepper, None, checkpoints.last_words()) / len(training.batches)


def _save(training: Training, checkpoints: Checkpoints) -> None:
    if checkpoints.keep:
        checkpoints.save(training.snapshot())


@contextmanager
def _matmul_precision(name: str) -> Iterator[None]:
    """Set torch's precision of float32 products and restore it at the end; "highest" changes nothing."""
    if name == "highest":
        yield
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(name)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@contextmanager
def _same_convolutions() -> Iterator[None]:
    """Let cuDNN use only deterministic algorithms."""
    before = torch.backends.cudnn.deterministic
    torch.backends.cudnn.deterministic = True
    try:
        yield
    finally:
        torch.backends.cudnn.deterministic = before
