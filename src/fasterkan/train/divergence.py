"""The error for a loss that is not finite: after which step, in which module first, and what to try."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from .errors import TrainingError
from .optimizer import Stepper


def check_finite(loss: Tensor, stepper: Stepper, x: Tensor | None, last_words: str) -> float:
    """Return a loss as a number, if it is finite.

    Args:
        loss: a scalar.
        stepper: the stepper of the run, after its last step.
        x: the batch of the loss; None if the loss is a mean over several batches.
        last_words: the part of the message about the last good checkpoint.

    Raises:
        TrainingError: the loss is not finite.
    """
    value = float(loss)
    if not math.isfinite(value):
        raise diverged("loss", value, stepper, last_words, x)
    return value


def diverged(name: str, value: float, stepper: Stepper, last_words: str, x: Tensor | None = None) -> TrainingError:
    """Return the error for a loss that is not finite; with a batch x, it names the place of the first such value."""
    config = stepper.config
    cures = [f"a lower lr (now {config.lr:g})", f"a longer warmup (now {config.warmup:g})"]
    if config.clip_grad_norm is None:
        cures.append("clip_grad_norm=1")
    if config.precision == "fp16":
        cures.append('precision="bf16" or "float32"')
    at = f"after {stepper.step} of {stepper.steps} steps"
    where = bad_weights(stepper.model)
    if where is None and x is not None:
        where = first_bad_module(stepper, x)
    found = f"; {where}" if where else ""
    return TrainingError(f"train: the {name} is {value} {at}{found}; try {', '.join(cures)}; {last_words}")


def bad_weights(model: nn.Module) -> str | None:
    """Name the first weight that is not finite; None if all are finite."""
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            return f"the model's {name} is no longer finite"
    return None


def first_bad_module(stepper: Stepper, x: Tensor) -> str:
    """Send a batch through the network again and name the first module whose output is not finite."""
    found: list[str] = []

    def look(name: str, module: nn.Module) -> Any:
        def hook(module: nn.Module, inputs: object, output: object) -> None:
            if not found and isinstance(output, Tensor) and not bool(output.isfinite().all()):
                found.append(f"{name} ({type(module).__name__})" if name else type(module).__name__)

        return module.register_forward_hook(hook)

    hooks = [look(name, module) for name, module in stepper.model.named_modules()]
    try:
        with torch.no_grad():
            stepper.loss(x, torch.zeros(len(x), dtype=torch.int64, device=x.device))
    finally:
        for hook in hooks:
            hook.remove()
    if found:
        return f"the first output that is not finite is that of {found[0]}"
    return "the output of every module is finite, but the loss is not"
