"""Scaling of the targets to variance 1 and back, so that targets of any size are fitted equally well."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .last_layer import LastLayer
from .losses import Logistic, Loss, Rescaled, can_be_scaled, scaled_loss
from .table import Table


@dataclasses.dataclass(frozen=True)
class TargetScale:
    """The size of the targets, and what the fit does with it.

    In most fits y = mean + scale * t for each output, and the network is fitted to t. The scale is a power of two, so
    scaling has no rounding error. If the last layer of the network is not known, if something is added to its outputs,
    or if the loss is your own, the targets stay as they are, and the loss is divided by its size.
    """

    mean: Tensor
    """[M]; 0 if the network has no bias that can hold the mean."""
    scale: Tensor
    """[M], above 0: size of the outputs."""
    folds: bool
    """Whether the fit has the targets t; the last layer then takes mean and scale after the fit."""
    loss: Loss
    """The loss of the fit."""
    size: Tensor
    """[M]: the root of twice a loss of the fit, times this, is in the units of the given loss."""

    last: LastLayer | None
    """The layer that the scale belongs to."""

    @classmethod
    def of(cls, last: LastLayer | None, bias: bool, table: Table, loss: Loss | None) -> TargetScale:
        """Return the scale of a table's targets.

        Args:
            last: the network's last layer, if it is known.
            bias: whether this layer has a bias.
            table: the table.
            loss: the loss, in units of y; None is the Huber loss with a delta from the targets.
        """
        zero, one = torch.zeros_like(table.y[0]), torch.ones_like(table.y[0])
        if not can_be_scaled(loss):
            assert loss is not None
            own, scale = (1.0, one) if isinstance(loss, Logistic) else _own_size(table, loss)
            inside = loss if own == 1 else Rescaled(loss, one, 1 / own)
            return cls(zero, scale, False, inside, math.sqrt(own) * one, last)
        folds = last is not None and last.alone
        mean, scale = _center_and_spread(table, centred=bias or not folds)
        if folds:
            return cls(mean, scale, True, scaled_loss(loss, scale, (table.y - mean) / scale), scale, last)
        return cls(zero, scale, False, Rescaled(scaled_loss(loss, scale, table.y / scale), scale), scale, last)

    def unit(self, losses: Sequence[float]) -> float:
        """Return the root of twice the sum of the outputs' losses in the fit, in the units of the given loss."""
        largest = self.size.max()
        return float((2 * self.size.new_tensor(losses) * (self.size / largest).square()).sum().sqrt() * largest)

    def inside(self, table: Table) -> Table:
        """Return the table with the targets of the fit."""
        return dataclasses.replace(table, y=(table.y - self.mean) / self.scale) if self.folds else table

    @torch.no_grad()
    def fold(self, net: nn.Module) -> None:
        """Change a network for t into one for y, in place."""
        self._change(net, self.scale, self.mean)

    @torch.no_grad()
    def unfold(self, net: nn.Module) -> None:
        """Change a network for y into one for t, in place."""
        self._change(net, 1 / self.scale, -self.mean / self.scale)

    def _change(self, net: nn.Module, factor: Tensor, shift: Tensor) -> None:
        if self.last is None or not self.folds:
            return
        for tensor in self.last.tensors(net):
            tensor.mul_(factor.to(tensor.dtype).view(-1, *[1] * (tensor.dim() - 1)))
        if (bias := self.last.bias(net)) is not None:
            bias.add_(shift.to(bias.dtype))


def _center_and_spread(table: Table, *, centred: bool) -> tuple[Tensor, Tensor]:
    """The mean (0 if not centred), and a power of two near the root mean square distance from it, each [M]."""
    start = table.y[0] if centred else torch.zeros_like(table.y[0])
    distance = table.y - start  # exact where y has a large offset
    size = distance.abs().amax(0).clamp_min(torch.finfo(torch.float64).tiny)
    share, unit = table.weights / table.weights.sum(), distance / size  # squares of 1e200 overflow
    mean = share @ unit if centred else torch.zeros_like(size)
    deviation = (share @ (unit - mean).square()).sqrt() * size
    mean, largest = start + mean * size, table.y.abs().amax(0)
    # Constant targets have no spread; a spread of the size of rounding errors counts as none.
    rounding = torch.finfo(torch.float64).eps * largest
    spread = torch.where(deviation > rounding, deviation, largest)
    spread = torch.where(spread > 0, spread, 1).clamp(1e-290, 1e290)
    return mean, torch.exp2(torch.log2(spread).round())


def _own_size(table: Table, loss: Loss) -> tuple[float, Tensor]:
    """Twice the mean of a loss for outputs of 0, and the size of the outputs that it suggests, [M].

    For a squared error these are the mean square of y and its root.
    """
    share = (table.weights / table.weights.sum()).unsqueeze(-1)
    zero = torch.zeros_like(table.y)
    value, (_, curvature) = loss.value(zero, table.y), loss.slope_and_curvature(zero, table.y)
    own, scale = 2 * (share * value).sum(0), (2 * (share * value).sum(0) / (share * curvature).sum(0)).sqrt()
    usable = bool(((own > 0) & torch.isfinite(own) & (scale > 0) & torch.isfinite(scale)).all())
    return (float(own.mean()), scale.log2().round().exp2()) if usable else (1.0, torch.ones_like(own))
