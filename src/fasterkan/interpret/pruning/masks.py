"""Masks of the kept edges of a network, and the network without the other edges in its old shape."""

from __future__ import annotations

import copy
import dataclasses
from itertools import pairwise

import torch
from torch import Tensor, nn

from ...models import KAN
from ...nn.edge_functions import moments
from .._walk import Step, walk

Masks = list[Tensor]
"""One boolean tensor [O, I] per layer, True for the edges that are kept."""


@dataclasses.dataclass(frozen=True)
class Means:
    """Mean output of each edge, [O, I] per layer, and mean of the columns of x, [W], over the data."""

    edges: list[Tensor]
    columns: Tensor


def full_masks(net: KAN) -> Masks:
    """Return the present masks of the network."""
    return [
        torch.ones_like(layer.weight[..., 0], dtype=torch.bool) if layer.mask is None else layer.mask.clone()
        for layer in net.kan_layers()
    ]


def close(masks: Masks) -> Masks:
    """Return the masks without edges from constant nodes or to unused nodes; the network's outputs always stay."""
    masks = [mask.clone() for mask in masks]
    for before, after in pairwise(masks):  # constant nodes
        after &= before.any(1).unsqueeze(0)
    for before, after in reversed(list(pairwise(masks))):  # nodes that no edge uses
        before &= after.any(0).unsqueeze(1)
    return masks


def means_of(net: KAN, x: Tensor) -> Means:
    """Return the means that replace removed edges and columns."""
    steps: list[Step] = walk(net, x)
    return Means([moments(step.layer, step.x.detach())[0] for step in steps], x.detach().mean(0))


class Masked(nn.Module):
    """A network with some edges replaced by their means, in its old shape.

    Columns without edges are also replaced by their means, because a row norm uses them.

    Args:
        net: a network with a bias in each layer; it is copied.
        masks: masks after `close`.
        means: the means of the unmasked network.
    """

    def __init__(self, net: KAN, masks: Masks, means: Means) -> None:
        super().__init__()
        self.net = copy.deepcopy(net)
        for layer, mask, mean in zip(self.net.kan_layers(), masks, means.edges, strict=True):
            removed = ~mask if layer.mask is None else layer.mask & ~mask
            if bool(removed.any()):
                assert layer.bias is not None
                with torch.no_grad():
                    layer.bias += (mean * removed).sum(1).to(layer.bias.dtype)
                layer.set_mask(mask)
        self.columns, dead = means.columns, ~masks[0].any(0)
        if net.kept_inputs is not None:
            dead = torch.zeros_like(means.columns, dtype=torch.bool).index_copy(0, net.kept_inputs, dead)
        self.dead = dead

    def fixed(self, x: Tensor) -> Tensor:
        """Return x [N, W] with means in the columns that have no edges."""
        return torch.where(self.dead, self.columns, x)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(self.fixed(x))
