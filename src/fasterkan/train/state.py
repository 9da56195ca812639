"""The state of a training run between two steps; saving it as a snapshot and restoring it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..data import ImageDataset
from ..nn.feature_norm import FeatureScaling
from .augment import Augmentation
from .average import Average
from .batches import Batches
from .checkpoint import Snapshot
from .config import TrainConfig
from .environment import versions
from .errors import RunFolderError
from .optimizer import Stepper
from .randomness import random_states, set_random_states
from .result import EpochMetrics, TrainResult


class Training:
    """The state of a run.

    Args:
        model: the model, on the device.
        data: the training images.
        config: configuration of the run.
        device: the device.

    Attributes:
        batches, stepper, average: the parts that make the steps. `average` is None without a moving average.
        result: the finished epochs.
        kept: the weights of the epoch `result.kept`; empty before the first epoch.
        loss_sum: sum of the losses in this epoch, a scalar on the device.
        started: the time at which this epoch began, by `time.perf_counter`, shifted by the length of pauses.
        whole: whether the state is consistent, so that a snapshot may be made. It is False during a step.
        resumed_from: the steps after which the run was resumed.
    """

    def __init__(self, model: nn.Module, data: ImageDataset, config: TrainConfig, device: torch.device) -> None:
        self.model, self.config, self.device = model, config, device
        self.batches = Batches(data, config.batch_size, Augmentation.of(config), device, config.seed)
        self.stepper = Stepper(model, config, len(self.batches) * config.epochs, device)
        self.average = Average(model, config.ema) if config.ema else None
        self.result = TrainResult((), config.keep)
        self.kept: dict[str, Tensor] = {}
        self.loss_sum = torch.zeros((), device=device)
        self.started = time.perf_counter()
        self.whole = True
        self.resumed_from: tuple[int, ...] = ()

    @property
    def position(self) -> int:
        """Number of finished batches in this epoch."""
        return self.stepper.step - len(self.result.epochs) * len(self.batches)

    def over(self) -> bool:
        """Whether all epochs are done, or `patience` epochs passed without a better accuracy."""
        done = len(self.result.epochs)
        patience = self.config.patience
        return done == self.config.epochs or (patience is not None and self.result.epochs_without_gain >= patience)

    @contextmanager
    def evaluated_weights(self) -> Iterator[None]:
        """Put the weights to evaluate into the model: its own weights, or their average."""
        if self.average is None:
            yield
            return
        self.whole = False
        with self.average.applied():
            yield
        self.whole = True

    def finish_epoch(self, metrics: EpochMetrics) -> None:
        """Add a finished epoch, and store its weights if they are the ones to keep."""
        self.whole = False
        self.result = dataclasses.replace(self.result, epochs=(*self.result.epochs, metrics))
        self.loss_sum.zero_()
        if self.result.kept is metrics:
            state = self.model.state_dict() if self.average is None else self.average.tensors
            self.kept = {name: tensor.clone() for name, tensor in state.items()}
        self.whole = True

    def snapshot(self) -> Snapshot:
        """Return the state as a snapshot; its tensors are not copies."""
        model = self.model.state_dict()
        tensors = {
            "model": model,
            "optimizer": self.stepper.tensors(),
            "random": {
                **{f"global.{name}": state for name, state in random_states(self.device).items()},
                **{f"batches.{name}": state for name, state in self.batches.state().items()},
                "loss_sum": self.loss_sum,
            },
        }
        if self.average is not None:
            tensors["average"] = self.average.tensors
        same = next((name for name in ("model", "average") if _equal(self.kept, tensors.get(name, {}))), None)
        if self.kept and same is None:
            tensors["kept"] = self.kept
        facts = {
            "config": self.config.to_dict(),
            "epochs": [dataclasses.asdict(metrics) for metrics in self.result.epochs],
            "position": self.position,
            "epoch_seconds": time.perf_counter() - self.started if self.position else 0.0,
            "lr": self.stepper.lr,
            "scaler": self.stepper.scaler.state_dict(),
            "norm_updates": {name: norm.updates_left for name, norm in self._feature_norms().items()},
            "kept": (same or "kept") if self.kept else None,
            "resumed_from": list(self.resumed_from),
            "versions": versions(),
            "threads": torch.get_num_threads(),
            "device": self.device.type,
        }
        return Snapshot(self.stepper.step, facts, tensors)

    def _feature_norms(self) -> dict[str, FeatureScaling]:
        return {name: module for name, module in self.model.named_modules() if isinstance(module, FeatureScaling)}

    def restore(self, snapshot: Snapshot) -> None:
        """Continue from a snapshot of a run with the same model, data and configuration.

        Raises:
            RunFolderError: the snapshot belongs to another network or to other data.
        """
        facts, tensors = snapshot.facts, snapshot.tensors
        random = tensors["random"]
        try:
            self.model.load_state_dict(tensors["model"])
        except RuntimeError as error:
            raise RunFolderError(f"the checkpoint after step {snapshot.step} has another network: {error}") from error
        for name, norm in self._feature_norms().items():
            norm.updates_left = facts.get("norm_updates", {}).get(name, norm.updates_left)
        self.stepper.load(snapshot.step, facts["lr"], tensors["optimizer"], facts["scaler"])
        if self.average is not None:
            self.average.load(tensors["average"])
        self.result = TrainResult(tuple(EpochMetrics(**metrics) for metrics in facts["epochs"]), self.config.keep)
        if self.position != facts["position"]:
            raise RunFolderError(
                f"the checkpoint after step {snapshot.step} was made with another number of training images; "
                "restore the data, or train again with overwrite=True (--overwrite)"
            )
        self.kept = {}
        if facts["kept"] is not None:
            self.kept = {name: tensor.to(self.device).clone() for name, tensor in tensors[facts["kept"]].items()}
        self.batches.load_state(_part(random, "batches"))
        set_random_states(_part(random, "global"), self.device)
        self.loss_sum.copy_(random["loss_sum"])
        self.started = time.perf_counter() - facts["epoch_seconds"]
        self.resumed_from = (*facts["resumed_from"], snapshot.step)


def _part(tensors: dict[str, Tensor], part: str) -> dict[str, Tensor]:
    """The tensors with names "part.name", by `name`."""
    return {name.partition(".")[2]: tensor for name, tensor in tensors.items() if name.startswith(f"{part}.")}


def _equal(first: dict[str, Any], second: dict[str, Any]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
