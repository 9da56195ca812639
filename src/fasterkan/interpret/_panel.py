"""The functions of a layer's edges as numbers: the panel of basis functions, and the edges' moments over data."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..nn import KANLinear
from ._walk import CHUNK


def panel(layer: KANLinear, x: Tensor) -> Tensor:
    """Return all that an edge is made of, the base branch last: [N, I, J], or [N, O, I, J]; float64.

    J is K, or K + 1 with a base branch. The longer shape is that of bases with tensors for each edge.
    """
    z = x if layer.norm is None else layer.norm(x)
    phi = layer.basis.evaluate(z.double(), layer.basis_tensors(torch.float64))  # [N, (O,) I, K]
    if layer.base is None or layer.base_weight is None:
        return phi
    base = layer.base(x).double()  # [N, I]
    if layer.basis.per_edge:
        base = base.unsqueeze(1).expand(phi.shape[:-1])
    return torch.cat([phi, base.unsqueeze(-1)], -1)


def edge_weights(layer: KANLinear) -> Tensor:
    """Return the factors of the panel's functions, [O, I, J], float64; 0 where the layer's mask is off."""
    weight = layer.weight.detach().double()
    if layer.base_weight is not None:
        weight = torch.cat([weight, layer.base_weight.detach().double().unsqueeze(-1)], -1)
    return weight if layer.mask is None else weight * layer.mask.unsqueeze(-1)


def edge_outputs(layer: KANLinear, x: Tensor) -> Tensor:
    """Return f_oi(x_i), [N, O, I], float64."""
    rows = "noij" if layer.basis.per_edge else "nij"
    return torch.einsum(f"{rows},oij->noi", panel(layer, x), edge_weights(layer))


def moments(layer: KANLinear, x: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return mean and variance of each edge over rows, [O, I], and the covariance of its panel, [I, J, J].

    The last is None for bases with tensors for each edge.
    """
    weight = edge_weights(layer)
    with torch.no_grad():
        if layer.basis.per_edge:
            mean = sum_rows(edge_outputs(layer, part).sum(0) for part in chunks(layer, x)) / len(x)
            squares = ((edge_outputs(layer, part) - mean).square().sum(0) for part in chunks(layer, x))
            return mean, sum_rows(squares) / len(x), None
        center = sum_rows(panel(layer, part).sum(0) for part in chunks(layer, x)) / len(x)  # [I, J]
        products = (panel(layer, part).sub_(center).transpose(0, 1) for part in chunks(layer, x))  # each [I, n, J]
        covariance = sum_rows(p.transpose(1, 2) @ p for p in products) / len(x)
        mean = torch.einsum("ij,oij->oi", center, weight)
        variance = ((weight.transpose(0, 1) @ covariance) * weight.transpose(0, 1)).sum(-1).t()  # [O, I]
        return mean, variance.clamp_min(0), covariance


def chunks(layer: KANLinear, x: Tensor) -> Iterator[Tensor]:
    """Yield rows of x in parts whose panel has at most `CHUNK` numbers, or one row."""
    each = layer.weight.numel() if layer.basis.per_edge else layer.weight[0].numel()
    yield from x.split(max(1, CHUNK // each))


def sum_rows(parts: Iterator[Tensor]) -> Tensor:
    """Return the sum of tensors of one shape, of which there is at least one."""
    total = next(parts)
    for part in parts:
        total = total + part
    return total
