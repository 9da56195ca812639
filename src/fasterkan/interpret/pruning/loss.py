"""The loss that pruning watches, and the rows it is held out on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ..._arrays import array_of
from ..._check import positive_number
from ...fitting.losses import spread
from ..uncertainty import targets_of
from .residuals import Residuals

Loss = Literal["auto", "squared", "huber", "error", "logistic"] | Callable[[Tensor, Tensor], Tensor]
ROUNDING = 1e-6
"""By how much a constant that was rounded to the network's dtype may be worse than the best one."""
Criterion = Callable[[Tensor, Tensor], Tensor]
"""(outputs [N, O], y) -> losses [C]; none of them may rise by more than is allowed to it."""


def check_loss(caller: str, loss: Loss, delta: float | None) -> None:
    """Raise ValueError or TypeError unless loss is a callable or a known name, and delta goes with it."""
    if not callable(loss) and loss not in ("auto", "squared", "huber", "error", "logistic"):
        raise ValueError(
            f'{caller}: loss must be "auto", "squared", "huber", "error", "logistic" or loss(outputs, y), got {loss!r}'
        )
    if delta is None:
        return
    if loss != "huber":
        raise ValueError(f'{caller}: delta is that of loss="huber", the loss is {loss!r}; leave delta out')
    positive_number(caller, "delta", delta)


def is_of_numbers(loss: Loss, y: Tensor) -> bool:
    """Return whether the loss is squared or Huber's, so that `criterion_of` makes `Residuals`."""
    return loss in ("squared", "huber") or (loss == "auto" and y.is_floating_point())


def criterion_of(loss: Loss, delta: float | None, y: Tensor) -> Criterion:
    """Return what a checked loss stands for, with the units of checked targets y."""
    if is_of_numbers(loss, y):
        squared = Residuals.of(y)
        if loss != "huber":
            return squared
        if delta is not None:
            return Residuals.of(y, delta)
        inside = (y.double() - y.double().mean(0)) / squared.size
        return dataclasses.replace(squared, delta=spread(inside) / 10 * torch.ones_like(squared.size))
    if callable(loss):
        return lambda outputs, y: torch.as_tensor(loss(outputs, y)).reshape(1)
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
    """Return the share of rows whose highest output is not their label's, [1]."""
    return (outputs.argmax(-1) != y).double().mean().reshape(1)


def targets(caller: str, y: Any, outputs: Tensor, loss: Loss) -> Tensor:
    """Return targets beside outputs [N, O]: numbers [N, O] in the outputs' dtype, or labels [N] as int64.

    Raises:
        TypeError, ValueError: of another shape, not finite, outside the loss's domain, or labels that are no output.
    """
    found = array_of(caller, "y", y).to(outputs.device)
    if loss in ("squared", "huber", "logistic"):
        found = found.double()
    if found.is_floating_point():
        if loss == "error":
            raise ValueError(f'{caller}: loss="error" is the share of wrong labels, y holds {found.dtype} numbers')
        if loss == "logistic" and not bool(((found >= 0) & (found <= 1)).all()):
            raise ValueError(f'{caller}: loss="logistic" needs targets within 0 ... 1, y holds others')
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
    """Return the best constant answer [O]: the targets' middle, the mean's logit, or the labels' log frequencies."""
    if isinstance(criterion, Residuals):
        return criterion.middle(y)
    if y.is_floating_point():
        mean = y.mean(0)
        return torch.logit(mean, 1e-6) if criterion is logistic else mean
    counts = torch.bincount(y, minlength=outputs).double()
    return ((counts + 0.5) / (counts + 0.5).sum()).log()


def allowance(tolerance: float, before: Tensor, best: Tensor, criterion: Criterion) -> Tensor:
    """Return by how much each loss may rise, [C].

    Args:
        tolerance: share of what the network explains.
        before: losses of the network.
        best: losses of the best constant answer.
        criterion: that of the losses; of constant targets there is nothing to explain, they take their size for it.
    """
    rise = tolerance * ((1 + ROUNDING) * best - before).clamp_min(0)
    return torch.where(criterion.varies, rise, tolerance) if isinstance(criterion, Residuals) else rise


def hold_out(rows: int, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Return the numbers of the rows that are kept and of those held out, drawn by a seed; at least one of each."""
    order = torch.randperm(rows, generator=torch.Generator().manual_seed(seed))
    count = min(rows - 1, max(1, round(share * rows)))
    return order[count:], order[:count]
