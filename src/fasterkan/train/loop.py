"""The training loop: one classifier, images in memory, one device."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ..data import ImageDataset
from ..nn import update_norms
from .augment import Augmentation
from .batches import Batches
from .config import TrainConfig
from .errors import TrainingError, TrainingInterrupted
from .evaluation import evaluate
from .observers import Observer
from .optimizer import Stepper
from .result import EpochMetrics, TrainResult


def train(
    model: nn.Module,
    train_set: ImageDataset,
    validation_set: ImageDataset,
    config: TrainConfig,
    observers: Sequence[Observer] = (),
) -> TrainResult:
    """Train a classifier and leave in it the weights of the best epoch on validation, or of the last (`config.keep`).

    The same seed, data and model give the same weights, bit for bit, on the same machine with the same number of
    threads. Only the fields of `config` that concern training are used; data set and network are the arguments.

    Args:
        model: takes [B, H * W] in [0, 1] and returns logits [B, C]; moved to the configured device.
        train_set: images to learn from.
        validation_set: images to validate on after each epoch.
        config: optimiser, schedule, batches, augmentation, precision, seed.
        observers: told of every step and epoch.

    Returns:
        The metrics of every epoch; `TrainResult.kept` is the one whose weights the model holds.

    Raises:
        TrainingError: a loss is not finite.
        TrainingInterrupted: Ctrl-C; the model holds the weights that would be kept if the last whole epoch were the
            last of all.
        ValueError: an empty data set, or a device that is not there.

    Example:
        >>> result = train(fk.FasterKAN([784, 64, 10]), train_set, validation_set, TrainConfig(epochs=3))
    """
    device = resolve_device(config.device)
    model.to(device)
    moves = Augmentation(config.shift, config.rotate, config.scale, config.shear)
    batches = Batches(train_set, config.batch_size, moves, device, config.seed)
    stepper = Stepper(model, config, len(batches) * config.epochs, device)
    result = TrainResult((), config.keep)
    weights: dict[str, Tensor] = {}
    interruption: KeyboardInterrupt | None = None
    for observer in observers:
        observer.on_start(config, stepper.steps)
    with _matmul_precision(config.matmul):
        try:
            for metrics in _epochs(model, batches, validation_set, stepper, observers):
                result = TrainResult((*result.epochs, metrics), config.keep)
                if result.kept is metrics:
                    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
                for observer in observers:
                    observer.on_epoch(metrics)
        except KeyboardInterrupt as error:
            interruption = error
    if weights:
        model.load_state_dict(weights)
    for observer in observers:
        observer.on_end(result)
    if interruption is not None:
        raise TrainingInterrupted(result) from interruption
    return result


def resolve_device(name: str) -> torch.device:
    """Return the device of a name, for "auto" CUDA when there is one, else the CPU.

    Raises:
        ValueError: no such device on this machine.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:  # torch built without CUDA asserts
        reason = str(error).partition("\n")[0]
        raise ValueError(f'device {name!r} cannot be used here: {reason}; try "auto" or "cpu"') from error


def _epochs(
    model: nn.Module,
    batches: Batches,
    validation_set: ImageDataset,
    stepper: Stepper,
    observers: Sequence[Observer],
) -> Iterator[EpochMetrics]:
    """Train and validate epoch by epoch; what the caller does between epochs is not timed."""
    training_seconds = seconds = 0.0
    for epoch in range(1, stepper.config.epochs + 1):
        started = time.perf_counter()
        loss = _train_epoch(model, batches, stepper, observers)
        trained = time.perf_counter()
        validation = evaluate(model, validation_set)
        if not math.isfinite(validation.loss):
            raise _diverged("validation loss", validation.loss, stepper)
        training_seconds += trained - started
        seconds += time.perf_counter() - started
        yield EpochMetrics(
            epoch=epoch,
            step=stepper.step,
            loss=loss,
            lr=stepper.lr,
            validation_loss=validation.loss,
            validation_accuracy=validation.accuracy,
            steps_per_second=len(batches) / (trained - started),
            training_seconds=training_seconds,
            seconds=seconds,
        )


def _train_epoch(model: nn.Module, batches: Batches, stepper: Stepper, observers: Sequence[Observer]) -> float:
    """Take the steps of one epoch and return their mean loss."""
    augmented = round(stepper.steps * (1 - stepper.config.augment_off)) - stepper.step
    report_every = 1 if stepper.device.type == "cpu" else 50  # elsewhere reading a number waits for the device
    total = torch.zeros((), device=stepper.device)
    model.train()
    for x, labels in batches.epoch(augmented):
        loss = stepper.loss(x, labels)
        report = stepper.step % report_every == 0
        if report:
            _check(loss, stepper)
        stepper.update(loss)
        update_norms(model)
        total += loss.detach()
        if report:
            for observer in observers:
                observer.on_step(stepper.step, float(loss.detach()))
    return _check(total, stepper) / len(batches)


@contextmanager
def _matmul_precision(name: str) -> Iterator[None]:
    """Set torch's precision of float32 products for a while; "highest" leaves alone what the caller has set."""
    if name == "highest":
        yield
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(name)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _check(loss: Tensor, stepper: Stepper) -> float:
    value = float(loss.detach())
    if not math.isfinite(value):
        raise _diverged("loss", value, stepper)
    return value


def _diverged(name: str, value: float, stepper: Stepper) -> TrainingError:
    config = stepper.config
    cures = [f"a lower lr (now {config.lr:g})", f"a longer warmup (now {config.warmup:g})"]
    if config.clip_grad_norm is None:
        cures.append("clip_grad_norm=1")
    if config.precision == "fp16":
        cures.append('precision="bf16" or "float32"')
    at = f"after {stepper.step} of {stepper.steps} steps"
    return TrainingError(f"train: the {name} is {value} {at}; try {', '.join(cures)}")
