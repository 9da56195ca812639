"""The functions on a layer's edges at evenly spread points."""

from __future__ import annotations

import torch
from torch import Tensor

from ..nn import FeatureScaling, KANLinear
from ._panel import edge_weights, panel


def data_grid(layer: KANLinear, seen: Tensor | None, points: int) -> Tensor:
    """Return evenly spread points over the range of each input, [S, I], float64 on the CPU."""
    if seen is not None:
        low, high = seen.detach().double().amin(0).cpu(), seen.detach().double().amax(0).cpu()
    else:
        low, high = (torch.full((layer.in_features,), end, dtype=torch.float64) for end in layer.basis.grid_range)
        if isinstance(layer.norm, FeatureScaling):
            center, scale = layer.norm.center.double().cpu(), layer.norm.scale.double().cpu()
            low, high = low / scale + center, high / scale + center
    steps = torch.linspace(0, 1, points, dtype=torch.float64).unsqueeze(-1)  # [S, 1]
    return low * (1 - steps) + high * steps


def tabulate(layer: KANLinear, grid: Tensor, pairs: Tensor) -> tuple[Tensor, Tensor]:
    """Return values and slopes of some edges at the points of a grid.

    Args:
        layer: of one variable an edge.
        grid: points of each input [S, I].
        pairs: output o and input i of each edge, [E, 2].

    Returns:
        Two tensors [S, E], float64 on the CPU.
    """
    o, i = pairs.to(layer.weight.device).unbind(1)
    weight = edge_weights(layer)[o, i]  # [E, J]

    def functions(x: Tensor) -> Tensor:
        table = panel(layer, x)
        chosen = table[:, o, i] if layer.basis.per_edge else table[:, i]  # [S, E, J]
        return (chosen * weight).sum(-1)

    at = grid.to(layer.weight.device, layer.weight.dtype)
    values, slopes = torch.func.jvp(functions, (at,), (torch.ones_like(at),))[:2]
    return values.detach().cpu(), slopes.detach().cpu()
