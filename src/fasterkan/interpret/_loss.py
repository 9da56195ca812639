"""The loss that pruning watches, and the rows it is held out on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .bands import targets_of

Loss = Literal["auto", "error", "logistic"] | Callable[[Tensor, Tensor], Tensor]


def resolve_loss(caller: str, loss: Loss, y: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    """Return loss(outputs, y) -> scalar: that given, the mean squared error for numbers, cross-entropy for labels.

    Raises:
        TypeError, ValueError: neither a callable nor a known name, or "error" for targets that are no labels.
    """
    if callable(loss):
        return loss
    if loss not in ("auto", "error", "logistic"):
        raise ValueError(f'{caller}: loss must be "auto", "error", "logistic" or loss(outputs, y), got {loss!r}')
    if loss == "logistic":
        if not y.is_floating_point() or not bool(((y >= 0) & (y <= 1)).all()):
            raise ValueError(f'{caller}: loss="logistic" needs floating-point targets within 0 ... 1, got {y.dtype}')
        return F.binary_cross_entropy_with_logits
    if y.is_floating_point():
        if loss == "error":
            raise ValueError(f'{caller}: loss="error" is the share of wrong labels, y holds {y.dtype} numbers')
        return mean_squared_error
    return wrong if loss == "error" else F.cross_entropy


def mean_squared_error(outputs: Tensor, y: Tensor) -> Tensor:
    """Return the mean over rows and outputs of the squared error."""
    return (outputs - y.to(outputs.dtype)).square().mean()


def wrong(outputs: Tensor, y: Tensor) -> Tensor:
    """Return the share of rows whose highest output is not their label's."""
    return (outputs.argmax(-1) != y).double().mean()


def targets(caller: str, y: Any, outputs: Tensor) -> Tensor:
    """Return targets beside outputs [N, O]: numbers [N, O] in the outputs' dtype, or labels [N] as int64.

    Raises:
        TypeError, ValueError: of another shape, not finite, or labels that are no output.
    """
    if not isinstance(y, Tensor | np.ndarray):
        raise TypeError(f"{caller}: y must be a tensor or an array, got {type(y).__name__}")
    found = torch.as_tensor(y).detach().to(outputs.device)
    if found.is_floating_point():
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


def constant(y: Tensor, outputs: int, loss: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Return the best constant answer [O]: the targets' mean or its logit, or the labels' log frequencies."""
    if y.is_floating_point():
        mean = y.mean(0)
        return torch.logit(mean, 1e-6) if loss is F.binary_cross_entropy_with_logits else mean
    counts = torch.bincount(y, minlength=outputs).double()
    return ((counts + 0.5) / (counts + 0.5).sum()).log()


def hold_out(rows: int, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Return the numbers of the rows that are kept and of those held out, drawn by a seed; at least one of each."""
    order = torch.randperm(rows, generator=torch.Generator().manual_seed(seed))
    count = min(rows - 1, max(1, round(share * rows)))
    return order[count:], order[:count]


@torch.no_grad()
def value(net: nn.Module, x: Tensor, y: Tensor, loss: Callable[[Tensor, Tensor], Tensor]) -> float:
    """Return the loss of a network on rows; infinity where it is not finite."""
    found = float(loss(net(x), y))
    return found if found == found else float("inf")
