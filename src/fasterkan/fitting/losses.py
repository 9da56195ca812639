"""The losses of a fit for each residual: the value, its slope and the curvature that Gauss-Newton uses."""

from __future__ import annotations

import dataclasses
from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from .._check import positive_number

LossName = Literal["squared", "huber", "logistic"]


class Loss(Protocol):
    """A loss per element for Gauss-Newton: value, first derivative and a curvature that is never negative."""

    def value(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each element, not negative."""

    def slope_and_curvature(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return d loss / d output and the weight of J^T J for each element."""


@dataclasses.dataclass(frozen=True)
class Squared:
    """r^2 / 2 with r = output - target."""

    def value(self, output: Tensor, target: Tensor) -> Tensor:
        return (output - target).square() / 2

    def slope_and_curvature(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        residual = output - target
        return residual, torch.ones_like(residual)


@dataclasses.dataclass(frozen=True)
class Huber:
    """r^2 / 2 up to |r| = delta, then delta (|r| - delta / 2): the slope is bounded for outliers.

    Args:
        delta: in units of r; for M outputs it may be a tensor [M].

    Source: Huber, Robust estimation of a location parameter (1964); the curvature is that of reweighted least squares.
    """

    delta: float | Tensor

    def value(self, output: Tensor, target: Tensor) -> Tensor:
        size = (output - target).abs()
        return torch.where(size <= self.delta, size.square() / 2, self.delta * (size - self.delta / 2))

    def slope_and_curvature(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        residual = output - target
        weight = (self.delta / residual.abs().clamp_min(self.delta)).clamp_max(1)
        return weight * residual, weight


@dataclasses.dataclass(frozen=True)
class Logistic:
    """log(1 + e^f) - y f: the cross-entropy of a probability y in [0, 1] and the logit f; outputs are independent."""

    def value(self, output: Tensor, target: Tensor) -> Tensor:
        return F.softplus(output) - target * output

    def slope_and_curvature(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        p = torch.sigmoid(output)
        return p - target, (p * (1 - p)).clamp_min(1e-6)  # if p rounds to 0 or 1, the step is damped


@dataclasses.dataclass(frozen=True)
class Rescaled:
    """factor * loss(f / scale, y / scale): a loss whose value does not depend on the units of y.

    Args:
        loss: the loss, in units of y / scale.
        scale: [M], above 0.
        factor: a factor of the loss.
    """

    loss: Loss
    scale: Tensor
    factor: float = 1.0

    def value(self, output: Tensor, target: Tensor) -> Tensor:
        return self.factor * self.loss.value(output / self.scale, target / self.scale)

    def slope_and_curvature(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        slope, curvature = self.loss.slope_and_curvature(output / self.scale, target / self.scale)
        return self.factor / self.scale * slope, self.factor / self.scale**2 * curvature


def resolve_loss(loss: LossName | Loss, delta: float | None) -> Loss | None:
    """Return the loss with this name, in units of y; objects with the two methods are returned as they are.

    Args:
        loss: "squared", "huber" or "logistic", or your own object.
        delta: the delta of "huber". Without it "huber" gives None, because the targets determine delta.

    Raises:
        TypeError, ValueError: the name is not known, delta is not above 0, or the loss has no delta.
    """
    if delta is not None:
        positive_number("fit", "delta", delta)
        if loss != "huber":
            raise ValueError(f'fit: delta belongs to loss="huber"; leave it out with loss={loss!r}')
    if not isinstance(loss, str):
        return loss
    if loss == "squared":
        return Squared()
    if loss == "huber":
        return None if delta is None else Huber(float(delta))
    if loss == "logistic":
        return Logistic()
    raise ValueError(f'fit: loss must be "squared", "huber", "logistic" or an object like them, got {loss!r}')


def can_be_scaled(loss: Loss | None) -> bool:
    """Whether targets may be scaled: the loss is a function of r = output - target, and its units are known."""
    return loss is None or type(loss) in (Squared, Huber)


def scaled_loss(loss: Loss | None, scale: Tensor, targets: Tensor) -> Loss:
    """Return the loss for targets [N, M] divided by scale [M]; None is the Huber loss with delta from the targets."""
    if loss is None:
        return Huber(spread(targets) / 10)
    return Huber(loss.delta / scale) if type(loss) is Huber else loss


def spread(targets: Tensor) -> float:
    """Return the interquartile range of targets [N, M] over all outputs; if it is 0, the full range, or else 1."""
    flat = targets.flatten()
    if len(flat) > 1_000_000:  # torch.quantile has a limit above this
        flat = flat[:: -(-len(flat) // 1_000_000)]
    low, high = torch.quantile(flat, flat.new_tensor([0.25, 0.75])).tolist()
    return (high - low) or float(flat.max() - flat.min()) or 1.0
