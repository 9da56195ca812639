"""The last layer of a network, found by trial: the layer whose learned numbers scale and shift the outputs."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..nn import KANLinear

ROWS = 16
"""Number of rows of the trial."""
FACTORS = (-2.0, 2.0**60)
"""By these factors the numbers are changed; the second one shows limits such as those of `clamp`."""
CHANGE = 0.1
TOLERANCE = 1e-9
"""Largest relative error of outputs that follow the numbers."""


@dataclasses.dataclass(frozen=True)
class LastLayer:
    """The layer whose weights and bias are the last operation of a network."""

    name: str
    """Its name in the network."""
    alone: bool
    """Whether the outputs are 0 if its numbers are 0. Else something is added to them, such as a column of X."""

    def tensors(self, net: nn.Module) -> list[nn.Parameter]:
        """Return the layer's weight, base weight and bias in a network of this shape."""
        return _tensors(net.get_submodule(self.name))

    def bias(self, net: nn.Module) -> nn.Parameter | None:
        """Return the layer's bias in a network of this shape."""
        bias = net.get_submodule(self.name).bias
        return bias if isinstance(bias, nn.Parameter) else None


@torch.no_grad()
def last_layer(probe: nn.Module, points: Tensor, sizes: Mapping[str, Tensor]) -> LastLayer | None:
    """Return the last layer, or None if the outputs are not its outputs, perhaps plus something else.

    All other learned numbers are changed at random before, since they may follow the layer.

    Args:
        probe: a float64 copy of the network in evaluation mode with calibrated norms.
        points: rows [N, I].
        sizes: the sizes of columns that learned weights multiply, by the names of these parameters.
    """
    few, probe = points[:ROWS], copy.deepcopy(probe)
    generator = torch.Generator("cpu").manual_seed(0)
    for parameter, p in probe.named_parameters():
        if p.requires_grad:
            added = CHANGE**2 * _normal(p, generator) / sizes.get(parameter, 1.0)
            p.div_(sizes.get(parameter, 1.0)).mul_(1 + CHANGE * _normal(p, generator)).add_(added)
    everywhere = [id(p) for _, p in probe.named_parameters(remove_duplicate=False)]
    for name, layer in reversed(list(probe.named_modules())):
        if not isinstance(layer, KANLinear | nn.Linear):
            continue
        own = _tensors(layer)
        if not all(p.requires_grad and everywhere.count(id(p)) == 1 for p in own):
            continue
        before = [p.clone() for p in own]
        names = {id(p): parameter for parameter, p in probe.named_parameters()}
        drawn = [_normal(p, generator) / sizes.get(names[id(p)], 1.0) for p in own]
        alone = _trial(probe, layer, drawn, few)
        for p, value in zip(own, before, strict=True):
            p.copy_(value)
        if alone is not None:
            return LastLayer(name, alone)
    return None


def _tensors(layer: nn.Module) -> list[nn.Parameter]:
    found = (getattr(layer, name, None) for name in ("weight", "base_weight", "bias"))
    return [p for p in found if isinstance(p, nn.Parameter)]


def _normal(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator, dtype=torch.float64, device="cpu").to(like)


def _trial(net: nn.Module, layer: KANLinear | nn.Linear, drawn: list[Tensor], x: Tensor) -> bool | None:
    """Whether outputs are 0 if the layer's numbers are 0; None if the outputs do not follow these numbers."""

    def outputs(factor: float, shift: Tensor | None = None) -> Tensor:
        for p, value in zip(_tensors(layer), drawn, strict=True):
            p.copy_(factor * value)
        if shift is not None and layer.bias is not None:
            layer.bias.add_(shift)
        y = net(x)
        return y.reshape(len(x), -1) if isinstance(y, Tensor) else x.new_zeros(0, 0)

    zero, once = outputs(0.0), outputs(1.0)
    if once.shape != (len(x), layer.out_features):
        return None
    slope = once - zero
    pairs = [(outputs(factor) - zero, factor * slope) for factor in FACTORS]
    if layer.bias is not None:
        shift = torch.arange(1.0, 1.0 + layer.out_features, dtype=x.dtype, device=x.device)
        pairs.append((outputs(1.0, shift) - once, shift.expand_as(once)))
    size = zero.abs().max()
    close = all(bool(((a - b).abs() <= TOLERANCE * (b.abs().max() + size)).all()) for a, b in pairs)
    return not bool(zero.any()) if close and bool(slope.any()) else None


@torch.no_grad()
def rest(net: nn.Module, last: LastLayer) -> None:
    """Set the last layer's numbers to 0, in place; the first step is then exactly its linear least-squares solution."""
    for tensor in last.tensors(net):
        tensor.zero_()
