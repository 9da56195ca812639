"""The penalty that switches edges off: the size of each edge's function, reweighted for Gauss-Newton."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..nn import KANLinear
from ..nn.edge_functions import basis_table, before_norm
from .flat import FlatNet
from .grids import kan_layers

NODES = 257
SMALLEST = 1e-4
"""Size, in units of a layer's output, below which an edge counts as switched off; the pull does not grow further."""


class Sparsity:
    """strength * sum over edges of sqrt(s^2 + e^2) - e; s^2 is the variance of an edge's function over its grid.

    s includes the base branch; e is `SMALLEST`. This is a group lasso: edges with little effect become constant as a
    whole. Edges of bases with tensors for each edge (wavelets) are left out.

    Args:
        flat: the shape of the networks.
        nets: S networks of this shape.
        strength: strength of the penalty, the same for all networks.
    """

    def __init__(self, flat: FlatNet, nets: Sequence[nn.Module], strength: float) -> None:
        self.strength = strength
        self.blocks: list[tuple[Tensor, Tensor]] = []  # indices [O, I, K'] in theta, and the form [S, I, K', K']
        names = {id(module): name for name, module in flat.net.named_modules()}
        layers = [kan_layers(net) for net in nets]
        for i, layer in enumerate(kan_layers(flat.net)):
            prefix = f"{names[id(layer)]}." if names[id(layer)] else ""
            places = [_places(flat, prefix + name, layer) for name in ("weight", "base_weight")]
            if places[0] is None or layer.basis.per_edge:
                continue
            with_base = places[1] is not None
            place = torch.cat([p for p in places if p is not None], -1)
            one = torch.ones((), dtype=torch.float64, device="cpu")
            size = flat.units.sizes.get(prefix + "base_weight", one) if with_base else None
            self.blocks.append((place, torch.stack([_variance(each[i], size) for each in layers])))

    def value(self, theta: Tensor, lanes: Tensor) -> Tensor:
        """Return the penalty [S'] of the networks `lanes`, theta [S', P]."""
        total = theta.new_zeros(len(theta))
        for place, form in self.blocks:
            total = total + (self._sizes(theta, place, form[lanes]) - SMALLEST).sum((1, 2))
        return self.strength * total

    def add_normal(self, matrix: Tensor, gradient: Tensor, theta: Tensor, lanes: Tensor) -> None:
        """Add the curvature of a quadratic bound to the matrix [S', P, P], the slope to the gradient [S', P]."""
        self.add_gradient(gradient, theta, lanes)
        for place, form in self.blocks:
            pull = self.strength / self._sizes(theta, place, form[lanes])  # [S', O, I]
            block = pull[..., None, None] * form[lanes].unsqueeze(1)  # [S', O, I, K', K']
            matrix[:, place.unsqueeze(-1), place.unsqueeze(-2)] += block

    def add_gradient(self, gradient: Tensor, theta: Tensor, lanes: Tensor) -> None:
        """Add the penalty's slope to the gradient [S', P]."""
        for place, form in self.blocks:
            pull = self.strength / self._sizes(theta, place, form[lanes])
            gradient[:, place] += torch.einsum("soi,sikl,soil->soik", pull, form[lanes], theta[:, place])

    def keep(self, lanes: Tensor) -> None:
        """Continue with these networks only."""
        self.blocks = [(place, form[lanes]) for place, form in self.blocks]

    @staticmethod
    def _sizes(theta: Tensor, place: Tensor, form: Tensor) -> Tensor:
        """sqrt(s^2 + e^2) of each edge, [S', O, I]."""
        weight = theta[:, place]  # [S', O, I, K']
        squares = torch.einsum("soik,sikl,soil->soi", weight, form, weight)
        return (squares.clamp_min(0) + SMALLEST**2).sqrt()


def _places(flat: FlatNet, name: str, layer: KANLinear) -> Tensor | None:
    """The indices of a weight [O, I] or [O, I, K] in theta, [O, I, K]; None if it is not learned."""
    start = flat.start_of(name)
    if start is None:
        return None
    count = layer.weight.numel() if name.endswith(".weight") or name == "weight" else layer.weight[..., 0].numel()
    place = torch.arange(count, device=layer.weight.device) + start
    return place.view(layer.out_features, layer.in_features, -1)


def _variance(layer: KANLinear, size: Tensor | None) -> Tensor:
    """The covariance of an edge's functions over the range of the grid, [I, K', K'].

    With the sizes of the columns, [] or [I], the last function is the base branch divided by them.
    """
    z, table = basis_table(layer, NODES)  # [T, I], [T, I, K]
    if size is not None and layer.base is not None:
        with torch.no_grad():
            seen = z if layer.base_input == "z" else layer.split_input(before_norm(layer, z))[2]
            table = torch.cat([table, (layer.base(seen) / size).unsqueeze(-1)], -1)
    table = table - table.mean(0)
    return torch.einsum("tik,til->ikl", table, table) / NODES
