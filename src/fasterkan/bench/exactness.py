"""Checking a subject: its float32 values against float64, and its gradients against finite differences."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .work import Data, loss_of

VALUES_LIMIT, GRADIENT_LIMIT = 1e-3, 1e-4
"""Relative errors of values and of gradients above which a subject is marked as wrong."""
_ROWS = 16


@dataclasses.dataclass(frozen=True)
class Exactness:
    """Relative errors; None if an error cannot be measured."""

    values: float | None
    """RMS difference between the float32 and float64 outputs, divided by the RMS of the output."""
    input_gradient: float | None
    """Error of the derivative along random directions of the input, in float64, against central differences."""
    parameter_gradient: float | None
    """Error of the derivative along random directions of the parameters, measured in the same way."""
    reason: str = ""
    """The reason why an error is None, or another remark."""

    @property
    def wrong(self) -> bool:
        """Whether an error is above its limit."""
        limits = (
            (self.values, VALUES_LIMIT),
            (self.input_gradient, GRADIENT_LIMIT),
            (self.parameter_gradient, GRADIENT_LIMIT),
        )
        return any(error is not None and not error <= limit for error, limit in limits)


FOREIGN = (RuntimeError, TypeError, ValueError, AttributeError, LookupError)
"""Exceptions that networks of other projects raise if they do not support an operation."""


def exactness(model: nn.Module, data: Data) -> Exactness:
    """Compare a float32 model with the same model in float64, on the CPU and on a few rows."""
    x, target = data.x[:_ROWS].cpu(), data.target[:_ROWS].cpu()
    try:
        single = copy.deepcopy(model).cpu().float()
        double = copy.deepcopy(model).cpu().double()
        with torch.no_grad():
            exact = double(x.double())
            difference, size = (single(x).double() - exact).norm(), exact.norm()
            values = 0.0 if difference == 0 else float(difference / size)
        if exact.dtype != torch.float64:
            return Exactness(None, None, None, f"its float64 output is {exact.dtype}")
        gradient = _gradient_errors(double, x.double(), target)
        if len(exact) > 1 and bool((exact == exact[:1]).all()):
            return Exactness(values, *gradient, "its output does not depend on its input")
    except FOREIGN as error:
        return Exactness(None, None, None, f"{type(error).__name__}: {error}".partition("\n")[0][:200])
    return Exactness(values, *gradient)


def _gradient_errors(model: nn.Module, x: Tensor, target: Tensor) -> tuple[float, float]:
    """Median errors of three directions each, because a single direction may cross a kink."""
    x = x.clone().requires_grad_()
    weights = [p for p in model.parameters() if p.requires_grad]
    grads = torch.autograd.grad(loss_of(model(x), target), [x, *weights], materialize_grads=True, allow_unused=True)
    of_x = [_direction_error(model, x, target, [x], grads[:1]) for _ in range(3)]
    of_weights = [_direction_error(model, x, target, weights, grads[1:]) for _ in range(3)]
    return sorted(of_x)[1], sorted(of_weights)[1]


@torch.no_grad()
def _direction_error(
    model: nn.Module, x: Tensor, target: Tensor, tensors: Sequence[Tensor], grads: Sequence[Tensor]
) -> float:
    """The error of the slope along a random direction, relative to the size of the slope in such directions."""
    moves = [torch.randn_like(t) for t in tensors]
    length, count = _norm(moves), sum(t.numel() for t in tensors)
    moves = [m / length for m in moves]
    slope = sum(float((g * m).sum()) for g, m in zip(grads, moves, strict=True))
    step, losses = 1e-6 * max(_norm(tensors), 1.0), []
    for sign in (1, -1):
        for t, m in zip(tensors, moves, strict=True):
            t.add_(m, alpha=sign * step)
        losses.append(float(loss_of(model(x), target)))
        for t, m in zip(tensors, moves, strict=True):
            t.sub_(m, alpha=sign * step)
    difference = (losses[0] - losses[1]) / (2 * step)
    return abs(slope - difference) / max(_norm(grads) / count**0.5, 1e-9)


def _norm(tensors: Sequence[Tensor]) -> float:
    return sum(float(t.square().sum()) for t in tensors) ** 0.5
