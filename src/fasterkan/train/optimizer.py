"""One step of training: precision, loss, gradient, clipping, learning rate, update."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..nn import param_groups
from .config import TrainConfig
from .schedule import factor

_DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class Stepper:
    """The optimiser of a run with everything that happens around its step.

    Args:
        model: the parameters to train; grids, widths, norms and biases are not decayed.
        config: optimiser, learning rate and schedule, precision, label smoothing, clipping.
        steps: steps of the whole run, which the schedule spans.
        device: where the model lies.

    Attributes:
        step: steps taken so far.
        lr: learning rate of the last step.
    """

    def __init__(self, model: nn.Module, config: TrainConfig, steps: int, device: torch.device) -> None:
        self.config, self.steps, self.device = config, steps, device
        self.step, self.lr = 0, 0.0
        self.model = model
        groups = param_groups(model, weight_decay=config.weight_decay, lr=config.lr)
        fused = device.type in {"cpu", "cuda"}
        self.optimizer: torch.optim.Optimizer
        if config.optimizer == "adamw":
            self.optimizer = torch.optim.AdamW(groups, lr=config.lr, betas=config.betas, fused=fused)
        else:
            self.optimizer = torch.optim.SGD(groups, lr=config.lr, momentum=config.betas[0], fused=fused)
        self.highest = [group["lr"] for group in self.optimizer.param_groups]
        self.warmup_steps = round(config.warmup * steps)
        self.scaler = torch.amp.GradScaler(device.type, enabled=config.precision == "fp16")

    def loss(self, x: Tensor, labels: Tensor) -> Tensor:
        """Return the mean cross-entropy of a batch, with label smoothing, in float32 or wider."""
        dtype = _DTYPES[self.config.precision]
        with torch.autocast(self.device.type, dtype, enabled=dtype != torch.float32):
            logits = self.model(x)
        wide = torch.promote_types(logits.dtype, torch.float32)
        return F.cross_entropy(logits.to(wide), labels, label_smoothing=self.config.label_smoothing)

    def update(self, loss: Tensor) -> None:
        """Differentiate the loss and move the parameters."""
        config, optimizer = self.config, self.optimizer
        share = factor(config.schedule, self.step, self.steps, self.warmup_steps)
        self.lr = config.lr * share
        for group, highest in zip(optimizer.param_groups, self.highest, strict=True):
            group["lr"] = highest * share
        optimizer.zero_grad()
        self.scaler.scale(loss).backward()
        if config.clip_grad_norm is not None:
            self.scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), config.clip_grad_norm)
        self.scaler.step(optimizer)
        self.scaler.update()
        self.step += 1
