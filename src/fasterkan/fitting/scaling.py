"""Scaling of the targets to variance 1 and back, so that targets of size 1e-9 to 1e9 are fitted equally well."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..models import KAN, MLP
from ..nn import KANLinear
from .table import Table


@dataclasses.dataclass(frozen=True)
class TargetScale:
    """y = mean + scale * t for each output; the scale is a power of two, so scaling has no rounding error."""

    mean: Tensor
    """[M]; 0 if the network has no bias that can hold the mean."""
    scale: Tensor
    """[M], above 0."""

    @classmethod
    def of(cls, net: nn.Module, table: Table, *, wanted: bool) -> TargetScale:
        """Return the scale of a table's targets; 0 and 1 if not wanted, or if the network cannot hold another."""
        last = last_linear(net)
        zero, one = torch.zeros_like(table.y[0]), torch.ones_like(table.y[0])
        if last is None or not wanted:
            return cls(zero, one)
        share = table.weights / table.weights.sum()
        size = table.y.abs().amax(0).clamp_min(torch.finfo(torch.float64).tiny)
        unit = table.y / size  # first divide: squares of 1e200 overflow
        mean = (share @ unit) if last.bias is not None else zero
        deviation = (share @ (unit - mean).square()).sqrt()
        # Constant targets have no spread; a spread of the size of rounding errors counts as none.
        spread = torch.where(deviation > 1e-13, deviation, torch.maximum(mean.abs(), 1e-13 * one)) * size
        spread = spread.clamp(1e-290, 1e290)
        return cls(mean * size, torch.exp2(torch.log2(spread).round()))

    def unit(self, losses: Sequence[float]) -> float:
        """Return the root of twice the sum of the outputs' losses, which are in units of t, in units of y."""
        largest = self.scale.max()
        return float((2 * self.scale.new_tensor(losses) * (self.scale / largest).square()).sum().sqrt() * largest)

    def inside(self, table: Table) -> Table:
        """Return the table with targets of mean 0 and variance about 1."""
        return dataclasses.replace(table, y=(table.y - self.mean) / self.scale)

    @torch.no_grad()
    def fold(self, net: nn.Module) -> None:
        """Change a network for t into one for y, in place."""
        self._change(net, self.scale, self.mean)

    @torch.no_grad()
    def unfold(self, net: nn.Module) -> None:
        """Change a network for y into one for t, in place."""
        self._change(net, 1 / self.scale, -self.mean / self.scale)

    def _change(self, net: nn.Module, factor: Tensor, shift: Tensor) -> None:
        last = last_linear(net)
        if last is None:
            return
        base = getattr(last, "base_weight", None)
        for weight in (last.weight, base):
            if weight is not None:
                weight.mul_(factor.to(weight.dtype).view(-1, *[1] * (weight.dim() - 1)))
        if last.bias is not None:
            last.bias.copy_(last.bias * factor.to(last.bias.dtype) + shift.to(last.bias.dtype))


def last_linear(net: nn.Module) -> KANLinear | nn.Linear | None:
    """Return the last layer, if its learned weights and bias are the last operation of the network.

    Return None if this is unknown: the module has its own forward, or the layer or one of its tensors is used twice.
    """
    last = _last(net)
    if last is None:
        return None
    own = [t for name in ("weight", "base_weight", "bias") if (t := getattr(last, name, None)) is not None]
    everywhere = [id(p) for _, p in net.named_parameters(remove_duplicate=False)]
    return last if all(t.requires_grad and everywhere.count(id(t)) == 1 for t in own) else None


def _last(net: nn.Module) -> KANLinear | nn.Linear | None:
    forward = type(net).forward
    if isinstance(net, KANLinear):
        return net if forward is KANLinear.forward and net.after is None else None
    if isinstance(net, nn.Linear):
        return net if forward is nn.Linear.forward else None
    if isinstance(net, KAN | MLP) and forward in (KAN.forward, MLP.forward):
        return _last(net.layers[-1])
    return _last(net[-1]) if isinstance(net, nn.Sequential) and forward is nn.Sequential.forward and len(net) else None


@torch.no_grad()
def rest_last_layer(net: nn.Module) -> None:
    """Set the last layer's weights to 0, in place; the first step is then exactly its linear least-squares solution."""
    last = last_linear(net)
    for name in ("weight", "base_weight", "bias"):
        if (tensor := getattr(last, name, None)) is not None:
            tensor.zero_()
