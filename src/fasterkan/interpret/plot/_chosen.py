"""The choice of the edges and nodes of a network that are drawn."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...models import KAN
from .._walk import layers_of
from ..importance_result import Importance

COLUMN = 25
"""Largest number of boxes in one column of a network that is not drawn completely."""


def most_important(net: nn.Module, worth: Importance | None, most: int) -> tuple[list[Tensor], str]:
    """Return which edges are drawn, [O, I] per layer, and a line of text about the others.

    These are all edges between the w most important nodes of each layer; w is as large as `most` allows.
    """
    layers = layers_of("plot.network", net)
    alive = [
        torch.ones(layer.weight.shape[:2], dtype=torch.bool, device="cpu") if layer.mask is None else layer.mask.cpu()
        for layer in layers
    ]
    count = sum(int(mask.sum()) for mask in alive)
    if count <= most or worth is None:
        return alive, ""
    outputs = worth.edges[-1].sum(1)
    every = max(1, most // 6)  # up to this number, all outputs are drawn

    def among(width: int) -> list[Tensor]:
        values = [*worth.nodes, outputs]
        widths = [width] * len(layers) + [len(outputs) if len(outputs) <= every else width]
        best = [
            torch.zeros(len(v), dtype=torch.bool, device=v.device).index_fill(0, v.topk(min(w, len(v))).indices, True)
            for v, w in zip(values, widths, strict=True)
        ]
        return [mask & after.unsqueeze(1) & before for mask, before, after in zip(alive, best, best[1:], strict=False)]

    width = 1
    while sum(counts := [int(mask.sum()) for mask in among(width + 1)]) <= most and max(counts) <= COLUMN:
        width += 1
    chosen = among(width)
    shown = sum(int(mask.sum()) for mask in chosen)
    return chosen, f"{shown} of {count:,} edges: those between the {width} most important nodes of each layer"


def lonely_nodes(net: nn.Module) -> list[tuple[int, int]]:
    """Return the inputs and outputs; they are drawn even without edges."""
    layers = layers_of("plot.network", net)
    removed = isinstance(net, KAN) and net.kept_inputs is not None
    first = [] if removed else [(0, i) for i in range(layers[0].in_features)]
    return first + [(len(layers), o) for o in range(layers[-1].out_features)]
