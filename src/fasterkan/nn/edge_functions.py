"""The functions f_oi on the edges of a layer: values, slopes, weights, moments and ranges.

Everything here is computed in float64. x [N, I] is the input of the layer's norm: the columns that have edges
(`EdgeLayer.selected`).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from .._device import exact_on_cpu, moved
from ..bases import Basis, Params
from ..bases._grid import subdivided
from .edge_layer import EdgeLayer
from .feature_norm import FeatureScaling
from .layer import KANLayer

CHUNK = 1 << 22
"""Numbers in one chunk of a panel [rows, I, K]."""

OUTSIDE = 1e-4
"""Importance of points beyond the ends of a grid, where bases with global support are not 0."""

Functions = tuple[Basis, Params, Tensor, Tensor]
"""(basis, tensors, W [O, I, K], z [S, I]): edge functions and the points where they are compared."""


def panel(layer: EdgeLayer, x: Tensor) -> Tensor:
    """Return the values of all functions of an edge, the base branch last: [N, I, J], or [N, O, I, J].

    J is K, or K + 1 with a base branch. Bases with tensors for each edge have the shape [N, O, I, J].
    """
    at, norm, seen = layer.split_input(x)
    z = at if norm is None else norm(at)
    phi = layer.basis.evaluate(z.double(), layer.basis_tensors(torch.float64))  # [N, (O,) I, K]
    if layer.base is None or layer.base_weight is None:
        return phi
    base = layer.base(seen).double()  # [N, I]
    if layer.basis.per_edge:
        base = base.unsqueeze(1).expand(phi.shape[:-1])
    return torch.cat([phi, base.unsqueeze(-1)], -1)


def panel_weights(layer: EdgeLayer) -> Tensor:
    """Return the factors of the panel's functions, [O, I, J]; 0 where the layer's mask is off."""
    weight = layer.weight.detach().double()
    if layer.base_weight is not None:
        weight = torch.cat([weight, layer.base_weight.detach().double().unsqueeze(-1)], -1)
    return weight if layer.mask is None else weight * layer.mask.unsqueeze(-1)


def edge_values(layer: EdgeLayer, x: Tensor) -> Tensor:
    """Return f_oi(x_i), [N, O, I]."""
    rows = "noij" if layer.basis.per_edge else "nij"
    return torch.einsum(f"{rows},oij->noi", panel(layer, x), panel_weights(layer))


def tabulate(layer: EdgeLayer, grid: Tensor, pairs: Tensor) -> tuple[Tensor, Tensor]:
    """Return values and slopes df/dx of some edges at the points of a grid.

    Args:
        layer: a layer whose edges are functions of one variable.
        grid: points of each input [S, I], in units of x.
        pairs: output o and input i of each edge, [E, 2].

    Returns:
        Two tensors [S, E] on the CPU.
    """
    o, i = pairs.to(layer.weight.device).unbind(1)
    weight = panel_weights(layer)[o, i]  # [E, J]

    def functions(x: Tensor) -> Tensor:
        table = panel(layer, x)
        chosen = table[:, o, i] if layer.basis.per_edge else table[:, i]  # [S, E, J]
        return (chosen * weight).sum(-1)

    at = grid.to(layer.weight.device, layer.weight.dtype)
    values, slopes = torch.func.jvp(functions, (at,), (torch.ones_like(at),))[:2]
    return values.detach().cpu(), slopes.detach().cpu()


def moments(layer: EdgeLayer, x: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return mean and variance of each edge over rows, [O, I], and the covariance of the panel, [I, J, J].

    The covariance is None for bases with tensors for each edge.
    """
    weight = panel_weights(layer)
    with torch.no_grad():
        if layer.basis.per_edge:
            mean = sum_rows(edge_values(layer, part).sum(0) for part in chunks(layer, x)) / len(x)
            squares = ((edge_values(layer, part) - mean).square().sum(0) for part in chunks(layer, x))
            return mean, sum_rows(squares) / len(x), None
        center = sum_rows(panel(layer, part).sum(0) for part in chunks(layer, x)) / len(x)
        products = (panel(layer, part).sub_(center).transpose(0, 1) for part in chunks(layer, x))  # each [I, n, J]
        covariance = sum_rows(p.transpose(1, 2) @ p for p in products) / len(x)
        mean = torch.einsum("ij,oij->oi", center, weight)
        variance = ((weight.transpose(0, 1) @ covariance) * weight.transpose(0, 1)).sum(-1).t()  # [O, I]
        return mean, variance.clamp_min(0), covariance


def chunks(layer: EdgeLayer, x: Tensor) -> Iterator[Tensor]:
    """Yield rows of x in parts whose panel has at most `CHUNK` numbers, or one row."""
    each = layer.weight.numel() if layer.basis.per_edge else layer.weight[0].numel()
    yield from x.split(max(1, CHUNK // each))


def sum_rows(parts: Iterator[Tensor]) -> Tensor:
    """Return the sum of one or more tensors of equal shape."""
    total = next(parts)
    for part in parts:
        total = total + part
    return total


def range_of_z(layer: KANLayer) -> tuple[Tensor, Tensor]:
    """Return the range of each input's functions in units of z, (low, high), each [I], on the CPU."""
    inputs, _ = layer.widths()
    low, high = layer.basis.range_of(exact_tensors(layer))
    return exact_on_cpu(low).expand(inputs), exact_on_cpu(high).expand(inputs)


def range_of_x(layer: EdgeLayer) -> tuple[Tensor, Tensor]:
    """Return the range of each input's functions in units of x, (low, high), each [I], on the CPU.

    After a norm of whole rows (LayerNorm, RMSNorm) no such range exists; the range of z is returned.
    """
    low, high = range_of_z(layer)
    return before_norm(layer, low), before_norm(layer, high)


def before_norm(layer: EdgeLayer, z: Tensor) -> Tensor:
    """Return the x that a feature norm maps to z [..., I], float64; with another norm, or none, return z itself."""
    if not isinstance(layer.norm, FeatureScaling):
        return z
    center, scale = (moved(t.detach(), z.device, torch.float64) for t in (layer.norm.center, layer.norm.scale))
    return z / scale + center


def spread_over(low: Tensor, high: Tensor, count: int) -> Tensor:
    """Return `count` evenly spread points from low to high [I], ends included: [count, I]."""
    steps = torch.linspace(0, 1, count, dtype=torch.float64, device=low.device).unsqueeze(-1)
    return low * (1 - steps) + high * steps


def points_of_x(layer: EdgeLayer, seen: Tensor | None, count: int) -> Tensor:
    """Return evenly spaced points [S, I] on the CPU, over each input's values in `seen` or else over its range."""
    if seen is None:
        return spread_over(*range_of_x(layer), count)
    values = seen.detach()
    return spread_over(exact_on_cpu(values.amin(0)), exact_on_cpu(values.amax(0)), count)


def basis_table(layer: EdgeLayer, count: int) -> tuple[Tensor, Tensor]:
    """Return points z [S, I] over the range of each input, and phi at these points, [S, I, K] or [S, O, I, K].

    Both are on the layer's device.
    """
    device = layer.weight.device
    low, high = (end.to(device) for end in range_of_z(layer))
    z = spread_over(low, high, count)
    with torch.no_grad():
        return z, layer.basis.evaluate(z, layer.basis_tensors(torch.float64))


def exact_tensors(layer: KANLayer) -> dict[str, Tensor]:
    """Return the basis' tensors in float64 on the CPU, without gradient."""
    return {k: exact_on_cpu(t.detach()) for k, t in layer.basis_tensors().items()}


def behind_norm(layer: EdgeLayer, x: Tensor) -> Tensor:
    """Return z = norm(x) as rows [N, I] on the CPU for an input x of the layer; the norm is not updated."""
    layer.check_input(x)
    z = layer.selected(x)
    if layer.norm is not None:
        training = {m: m.training for m in layer.norm.modules()}
        try:
            with torch.no_grad():
                z = layer.norm.eval()(z)
        finally:
            for module, flag in training.items():
                module.training = flag
    return exact_on_cpu(z.detach().reshape(-1, layer.in_features))


def nodes(basis: Basis, tensors: Params, in_features: int) -> tuple[Tensor, int]:
    """Return points z [S, I] where functions are compared, and the number of leading points that lie on the grid.

    The points are evenly spaced in each interval of a feature's grid, even if the intervals are unequal. Without a grid
    they are evenly spaced over the basis' range. For ordered families of global support there are also points beyond
    both ends of the grid, as far as the outermost centres. Their importance is OUTSIDE.
    """
    grid, sites = basis.grid_of(tensors), basis.sites(tensors)
    if grid is None:
        ends = [exact_on_cpu(end).expand(in_features) for end in basis.range_of(tensors)]
        grid = torch.stack(ends, -1)
    grid = grid.expand(in_features, -1)
    low, high = grid[:, 0], grid[:, -1]
    count = 8 * max(8, basis.num_basis) + 1
    z = subdivided(grid, count).mT
    if sites is None or basis.support == "compact":
        return z, count
    first, last = sites[..., [0, -1]].expand(in_features, 2).unbind(-1)
    beyond = (
        spread_over(torch.minimum(first, low), low, count // 8),
        spread_over(high, torch.maximum(high, last), count // 8),
    )
    return torch.cat([z, *beyond]), count


def relative_error(old: Functions, new: Functions) -> float:
    """Return the RMS of the difference of the edge functions, divided by the RMS of the old functions."""
    tables = []
    with torch.no_grad():
        for basis, tensors, weight, z in (old, new):
            phi = basis.evaluate(z, tensors)  # [S, I, K], or [S, O, I, K]
            phi = phi if basis.per_edge else phi.unsqueeze(1)
            tables.append((phi, exact_on_cpu(weight.detach())))
        difference = size = 0.0
        for o in range(len(tables[0][1])):  # one output at a time, so that no [S, O, I] is made
            values = [(phi[:, o if phi.shape[1] > 1 else 0] * weight[o]).sum(-1) for phi, weight in tables]
            difference += float((values[1] - values[0]).square().sum())
            size += float(values[0].square().sum())
    return (difference / max(size, torch.finfo(torch.float64).tiny)) ** 0.5
