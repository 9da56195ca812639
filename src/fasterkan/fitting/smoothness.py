"""The smoothness penalty on the functions of a network's edges, quadratic in its weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..nn import KANLinear
from ..nn.edge_functions import basis_table
from .flat import FlatNet
from .grids import kan_layers

NODES = 257


class Smoothness:
    """mu / 2 sum over edges of mean_t f''(t)^2, where t in [-1, 1] is the range of the edge's grid.

    The function sin(pi t) costs about mu * 24. f'' is approximated by second differences on a fine mesh, so functions
    with kinks count too. Bases with tensors for each edge, such as wavelets, are left out, because they have one weight
    per edge.

    Args:
        flat: the shape of the networks.
        nets: S networks of this shape.
        strength: mu [S].
    """

    def __init__(self, flat: FlatNet, nets: Sequence[nn.Module], strength: Tensor) -> None:
        self.strength = strength
        self.blocks: list[tuple[Tensor, Tensor]] = []  # indices [O, I, K] in theta, and the quadratic form [S, I, K, K]
        names = {id(module): name for name, module in flat.net.named_modules()}
        layers = [kan_layers(net) for net in nets]
        for i, layer in enumerate(kan_layers(flat.net)):
            name = names[id(layer)]
            start = flat.start_of(f"{name}.weight" if name else "weight")
            if start is None or layer.basis.per_edge:
                continue
            form = torch.stack([_bending(each[i]) for each in layers])
            place = torch.arange(layer.weight.numel(), device=layer.weight.device) + start
            self.blocks.append((place.view(layer.weight.shape), form))

    def value(self, theta: Tensor, lanes: Tensor) -> Tensor:
        """Return the penalty [S'] of the networks `lanes`, theta [S', P]."""
        total = theta.new_zeros(len(theta))
        for place, form in self.blocks:
            weight = theta[:, place]  # [S', O, I, K]
            total = total + torch.einsum("soik,sikl,soil->s", weight, form[lanes], weight)
        return self.strength[lanes] * total / 2

    def add_normal(self, matrix: Tensor, gradient: Tensor, theta: Tensor, lanes: Tensor) -> None:
        """Add the penalty's second derivatives to the matrix [S', P, P] and its slope to the gradient [S', P]."""
        self.add_gradient(gradient, theta, lanes)
        for place, form in self.blocks:
            scaled = self.strength[lanes].view(-1, 1, 1, 1) * form[lanes]  # [S', I, K, K]
            matrix[:, place.unsqueeze(-1), place.unsqueeze(-2)] += scaled.unsqueeze(1)

    def add_gradient(self, gradient: Tensor, theta: Tensor, lanes: Tensor) -> None:
        """Add the penalty's slope to the gradient [S', P]."""
        for place, form in self.blocks:
            scaled = self.strength[lanes].view(-1, 1, 1, 1) * form[lanes]
            gradient[:, place] += torch.einsum("sikl,soil->soik", scaled, theta[:, place])

    def keep(self, lanes: Tensor) -> None:
        """Continue with these networks only."""
        self.strength = self.strength[lanes]
        self.blocks = [(place, form[lanes]) for place, form in self.blocks]


def _bending(layer: KANLinear) -> Tensor:
    """mean_t of phi''(t) phi''(t)^T for each input, [I, K, K]."""
    _, phi = basis_table(layer, NODES)  # [T, I, K]
    bend = torch.diff(phi, n=2, dim=0) / (2 / (NODES - 1)) ** 2
    return torch.einsum("tik,til->ikl", bend, bend) / len(bend)
