"""One step of training: precision, loss, gradient, clipping, learning rate, update."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..nn import param_groups
from .config import TrainConfig
from .muon import MatrixMuon
from .networks import least_images
from .schedule import factor

_DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class Stepper:
    """The optimisers of a run, with everything that belongs to a step.

    Args:
        model: the model to train. Grids, widths, norms and biases have no weight decay.
        config: optimiser, learning rate and schedule, precision, label smoothing, clipping, parts of a batch.
        steps: number of steps of the whole run, for the schedule.
        device: the device of the model.

    Attributes:
        step: number of steps so far.
        lr: learning rate of the last step.
    """

    def __init__(self, model: nn.Module, config: TrainConfig, steps: int, device: torch.device) -> None:
        self.config, self.steps, self.device = config, steps, device
        self.step, self.lr = 0, 0.0
        self.model = model
        self._dtype = next(model.parameters()).dtype
        self._least = least_images(model)
        self.optimizers = _optimizers(model, config, device)
        self._groups = [group for optimizer in self.optimizers for group in optimizer.param_groups]
        self._highest = [group["lr"] for group in self._groups]
        self.warmup_steps = round(config.warmup * steps)
        self.scaler = torch.amp.GradScaler(device.type, enabled=config.precision == "fp16")

    def loss(self, x: Tensor, labels: Tensor) -> Tensor:
        """Return the mean cross-entropy of a batch, with label smoothing, in float32 or higher precision."""
        dtype = _DTYPES[self.config.precision]
        with torch.autocast(self.device.type, dtype, enabled=dtype != torch.float32):
            logits = self.model(x.to(self._dtype))
        wide = torch.promote_types(logits.dtype, torch.float32)
        return F.cross_entropy(logits.to(wide), labels, label_smoothing=self.config.label_smoothing)

    def gradient(self, x: Tensor, labels: Tensor) -> Tensor:
        """Compute the gradient of the loss of a batch, part by part, and return the loss without its graph."""
        self.model.zero_grad()
        parts = min(self.config.accumulate, max(1, len(x) // self._least))
        if parts == 1:
            return self.differentiate(self.loss(x, labels))
        total = torch.zeros((), device=self.device)
        for part, its_labels in zip(x.tensor_split(parts), labels.tensor_split(parts), strict=True):
            total += self.differentiate(self.loss(part, its_labels) * (len(part) / len(x)))
        return total

    def differentiate(self, loss: Tensor) -> Tensor:
        """Add the gradient of a loss to that of the parameters, and return the loss without its graph."""
        self.scaler.scale(loss).backward()
        return loss.detach()

    def move(self) -> None:
        """Update the parameters with their gradients."""
        config = self.config
        share = factor(config.schedule, self.step, self.steps, self.warmup_steps)
        self.lr = config.lr * share
        for group, highest in zip(self._groups, self._highest, strict=True):
            group["lr"] = highest * share
        if config.clip_grad_norm is not None:
            for optimizer in self.optimizers:
                self.scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), config.clip_grad_norm)
        for optimizer in self.optimizers:
            self.scaler.step(optimizer)
        self.scaler.update()
        self.step += 1

    def tensors(self) -> dict[str, Tensor]:
        """Return the state tensors of the optimisers, by "optimiser.parameter.name"."""
        return {
            f"{i}.{j}.{name}": tensor
            for i, optimizer in enumerate(self.optimizers)
            for j, parameter in enumerate(_parameters(optimizer))
            for name, tensor in optimizer.state.get(parameter, {}).items()
            if isinstance(tensor, Tensor)
        }

    def load(self, step: int, lr: float, tensors: dict[str, Tensor], scaler: dict[str, Any]) -> None:
        """Continue after `step` steps, with the results of `tensors` and of the scaler's `state_dict`."""
        self.step, self.lr = step, lr
        parameters = [_parameters(optimizer) for optimizer in self.optimizers]
        for key, tensor in tensors.items():
            i, j, name = key.split(".", 2)
            parameter = parameters[int(i)][int(j)]
            if tensor.shape == parameter.shape:  # keep the memory order of the parameter
                tensor = torch.empty_like(parameter, dtype=tensor.dtype).detach().copy_(tensor)
            else:
                tensor = tensor.to(self.device)
            self.optimizers[int(i)].state[parameter][name] = tensor
        self.scaler.load_state_dict(scaler)


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _optimizers(model: nn.Module, config: TrainConfig, device: torch.device) -> list[torch.optim.Optimizer]:
    lr = None if config.optimizer == "muon" else config.lr  # the size of Muon's step does not depend on the grid
    groups = param_groups(model, weight_decay=config.weight_decay, lr=lr)
    fused = device.type in {"cpu", "cuda"}
    if config.optimizer == "sgd":
        return [torch.optim.SGD(groups, lr=config.lr, momentum=config.betas[0], fused=fused)]
    found: list[torch.optim.Optimizer] = []
    if config.optimizer == "muon":
        weights = [parameter for group in groups if group["name"] == "weights" for parameter in group["params"]]
        if weights:
            decay = config.weight_decay
            found.append(MatrixMuon(weights, lr=config.lr, weight_decay=decay, momentum=config.betas[0]))
        groups = [group for group in groups if group["name"] != "weights"]
    if groups:
        found.append(torch.optim.AdamW(groups, lr=config.lr, betas=config.betas, fused=fused))
    return found
