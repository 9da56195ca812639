"""The loss that pruning uses, and the held-out rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ..._arrays import array_of, as_targets
from ..._check import positive_number
from ...fitting.losses import spread
from ..uncertainty import targets_of
from .residuals import Residuals

Loss = Literal["auto", "squared", "huber", "error", "logistic"] | Callable[[Tensor, Tensor], Tensor]
ROUNDING = 1e-6
"""Tolerance for the rounding of a constant to the network's dtype, compared with the best constant."""
Criterion = Callable[[Tensor, Tensor], Tensor]
"""(outputs [N, O], y) -> losses [C]; each has its own allowed rise."""


def check_loss(caller: str, loss: Loss, delta: float | None) -> None:
    """Raise ValueError or TypeError if loss is not a callable or a known name, or delta does not belong to it."""
    if not callable(loss) and loss not in ("auto", "squared", "huber", "error", "logistic"):
        raise ValueError(
            f'{caller}: loss must be "auto", "squared", "huber", "error", "logistic" or loss(outputs, y), got {loss!r}'
        )
    if delta is None:
        return
    if loss != "huber":
        raise ValueError(f'{caller}: delta belongs to loss="huber", but the loss is {loss!r}; leave delta out')
    positive_number(caller, "delta", delta)


def is_of_numbers(loss: Loss, y: Tensor) -> bool:
    """Return whether the loss is squared or Huber; `criterion_of` then returns `Residuals`."""
    return loss in ("squared", "huber") or (loss == "auto" and y.is_floating_point())


def criterion_of(loss: Loss, delta: float | None, y: Tensor) -> Criterion:
    """Return the criterion of a checked loss, in the units of checked targets y."""
    if is_of_numbers(loss, y):
        squared = Residuals.of(y)
        if loss != "huber":
            return squared
        if delta is not None:
            return Residuals.of(y, delta)
        inside = (y.double() - y.double().mean(0)) / squared.size
        return dataclasses.replace(squared, delta=spread(inside) / 10 * torch.ones_like(squared.size))
    if callable(loss):
        return lambda outputs, y: torch.as_tensor(loss(outputs, y), device=outputs.device).reshape(1)
    if loss == "logistic":
        return logistic
    return wrong if loss == "error" else cross_entropy


def logistic(outputs: Tensor, y: Tensor) -> Tensor:
    """Return the mean cross-entropy of probabilities and logits over rows and outputs, [1]."""
    return F.binary_cross_entropy_with_logits(outputs, y).reshape(1)


def cross_entropy(outputs: Tensor, y: Tensor) -> Tensor:
    """Return the mean cross-entropy of labels, [1]."""
    return F.cross_entropy(outputs, y).reshape(1)


def wrong(outputs: Tensor, y: Tensor) -> Tensor:
    """Return the share of rows whose largest output is not that of their label, [1]."""
    return (outputs.argmax(-1) != y).double().mean().reshape(1)


def targets(caller: str, y: Any, outputs: Tensor, loss: Loss) -> Tensor:
    """Return targets for outputs [N, O]: numbers [N, O] in the outputs' dtype, or labels [N] as int64.

    Raises:
        TypeError, ValueError: y has another shape, is not finite, lies outside the loss's domain, or has a label
            without an output.
    """
    found = array_of(caller, "y", y).to(outputs.device)
    if loss in ("squared", "huber", "logistic"):
        found = found.double()
    elif loss == "auto":
        found = as_targets(found, outputs)
    if found.is_floating_point():
        if loss == "error":
            raise ValueError(f'{caller}: loss="error" is the share of wrong labels, y holds {found.dtype} numbers')
        if loss == "logistic" and not bool(((found >= 0) & (found <= 1)).all()):
            raise ValueError(f'{caller}: loss="logistic" needs targets within 0 ... 1, y holds other numbers')
        return targets_of(caller, found, outputs).to(outputs.dtype)
    if found.dim() != 1 or len(found) != len(outputs) or found.dtype == torch.bool:
        raise ValueError(
            f"{caller}: y is {found.dtype} {list(found.shape)}, expected labels [{len(outputs)}], or numbers "
            f"{list(outputs.shape)}"
        )
    if int(found.min()) < 0 or int(found.max()) >= outputs.shape[1]:
        raise ValueError(
            f"{caller}: labels run from {int(found.min())} to {int(found.max())}, the network has "
            f"{outputs.shape[1]} outputs"
        )
    return found.long()


def constant(y: Tensor, outputs: int, criterion: Criterion) -> Tensor:
    """Return the best constant output [O]: the targets' middle, the logit of the mean, or the log frequencies."""
    if isinstance(criterion, Residuals):
        return criterion.middle(y)
    if y.is_floating_point():
        mean = y.mean(0)
        return torch.logit(mean, 1e-6) if criterion is logistic else mean
    counts = torch.bincount(y, minlength=outputs).double()
    return ((counts + 0.5) / (counts + 0.5).sum()).log()


def allowance(tolerance: float, before: Tensor, best: Tensor, criterion: Criterion) -> Tensor:
    """Return the allowed rise of each loss, [C].

    Args:
        tolerance: share of what the network explains, which may be lost.
        before: the losses of the network.
        best: the losses of the best constant output.
        criterion: the criterion of the losses. For a constant target there is nothing to explain; its size is used
            instead.
    """
    rise = tolerance * ((1 + ROUNDING) * best - before).clamp_min(0)
    return torch.where(criterion.varies, rise, tolerance) if isinstance(criterion, Residuals) else rise


def hold_out(rows: int, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Return the indices of the kept and of the held-out rows, drawn with a seed; at least one of each."""
    order = torch.randperm(rows, generator=torch.Generator("cpu").manual_seed(seed), device="cpu")
    count = min(rows - 1, max(1, round(share * rows)))
    return order[count:], order[:count]
