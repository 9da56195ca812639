"""The loss for numbers: squared or Huber, for each output separately, in units of its target's variance."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from .._walk import varying_columns


@dataclasses.dataclass(frozen=True)
class Residuals:
    """loss_o = the mean over rows of h(r_no) with r_no = (output - target) / size_o, in float64.

    h(r) = r^2 up to |r| = delta_o, then delta_o (2 |r| - delta_o). An infinite delta gives the mean squared error.
    """

    size: Tensor
    """Standard deviation of each target [O]; for a constant target its size, or 1 if that is 0."""
    delta: Tensor
    """Value of |r| above which the loss is a straight line, [O]."""
    varies: Tensor
    """Which targets are not constant, [O]."""

    @classmethod
    def of(cls, y: Tensor, delta: float = math.inf) -> Residuals:
        """Return the loss for targets y [N, O]; delta is in units of y."""
        exact, varies = y.double(), varying_columns(y)
        largest = exact.abs().amax(0)
        largest = torch.where(largest > 0, largest, 1)
        size = torch.where(varies, (exact / largest).std(0, correction=0), 1) * largest
        return cls(size, delta / size, varies)

    def __call__(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return the loss of each output, [O]."""
        residual = self._residual(outputs, y)
        bounded = residual.clamp(-self.delta, self.delta)
        return (bounded * (2 * residual - bounded)).mean(0)

    def optimism(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return by how much the loss on training rows is too low, per weight and divided by 2 / N, [O].

        This is E[h'^2] / (2 E[h'']); it is the loss itself if all residuals are below delta.
        """
        residual = self._residual(outputs, y)
        within = (residual.abs() <= self.delta).double().mean(0).clamp_min(1 / len(y))
        return residual.clamp(-self.delta, self.delta).square().mean(0) / within

    def middle(self, y: Tensor) -> Tensor:
        """Return the constants [O] with the smallest loss: the means or, for Huber, by reweighted least squares."""
        exact = y.double() / self.size
        found = exact.mean(0)
        if bool(torch.isfinite(self.delta).all()):
            found = exact.median(0).values
            for _ in range(50):
                weight = self.delta / (exact - found).abs().clamp_min(self.delta)
                found = (weight * exact).sum(0) / weight.sum(0)
        return found * self.size

    def _residual(self, outputs: Tensor, y: Tensor) -> Tensor:
        return (outputs.double() - y.double()) / self.size
