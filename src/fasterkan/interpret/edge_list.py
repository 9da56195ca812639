"""All edges of a network as objects."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .._check import whole_number
from ..nn.edge_functions import points_of_x, tabulate
from ._walk import as_evaluated, layers_of, one_variable, rows_of, varying_columns, walk
from .edge import Edge, EdgeFunction, shape_of
from .importances import Importance, importance
from .uncertainty import bands_for


def edges(
    net: nn.Module, X: Tensor | None = None, y: Tensor | None = None, *, points: int = 101, bins: int = 20
) -> list[Edge]:
    """Return every edge of a network as an `Edge`, without pruned edges.

    Args:
        net: a KAN or a KANLinear in which each edge is a function of one variable: its norms must be norm="feature"
            (calibrated) or None.
        X: rows [N, I], which set the range of each edge's function, the histograms and the shares. Without X the range
            is the calibrated range of the norm, or the basis' grid_range for norm=None.
        y: targets of X, [N] or [N, O], numbers; adds bands of uncertainty (`bands`).
        points: S, the number of points of each function's table, at least 2.
        bins: B, the number of bins of the histograms.

    Returns:
        The edges in order of layer, output, input. If the data of an edge is one value only, all its points are this
        value.

    Raises:
        TypeError, ValueError: net, X or y cannot be used; or there is a LayerNorm or RMSNorm, so that no edge is a
            function of one variable. Then make the network with norm="feature".
        RuntimeError: a norm is not calibrated.

    Example:
        >>> net = KAN([2, 3, 1], norm=None)
        >>> found = edges(net, torch.rand(200, 2) * 2 - 1)
        >>> len(found), found[0].name, found[0].values.shape
        (9, 'x1 -> h1.1', torch.Size([101]))
    """
    points, bins = whole_number("edges", "points", points, 2), whole_number("edges", "bins", bins, 1)
    one_variable("edges", net)
    if y is not None and X is None:
        raise ValueError("edges: y was given without X; give the rows X of these targets")
    seen = None if X is None else rows_of("edges", net, X)
    spread = None if y is None or seen is None else bands_for("edges", net, seen, y, points)
    return chosen_edges(net, seen, None if seen is None else worth_of(net, seen), None, spread, points, bins)


def chosen_edges(
    net: nn.Module,
    x: Tensor | None,
    worth: Importance | None,
    chosen: Sequence[Tensor] | None,
    spread: Sequence[Tensor] | None,
    points: int,
    bins: int,
) -> list[Edge]:
    """Return some edges of a checked network.

    Args:
        net: a network for `edges`.
        x: checked rows, or None.
        worth: the importance on these rows, or None.
        chosen: which edges are returned, booleans [O, I] for each layer; None for all.
        spread: the result of `bands`, or None.
        points: number of points of each function's table.
        bins: number of bins of the histograms.
    """
    layers = layers_of("edges", net)
    xs: list[Tensor | None] = [None] * len(layers)
    with as_evaluated(net):
        if x is not None:
            with torch.no_grad():
                xs = [step.x for step in walk(net, x)]
        found: list[Edge] = []
        for number, (layer, seen) in enumerate(zip(layers, xs, strict=True)):
            alive = torch.ones(layer.weight.shape[:2], dtype=torch.bool) if layer.mask is None else layer.mask.cpu()
            pairs = (alive if chosen is None else alive & chosen[number]).nonzero()
            if len(pairs):
                band = None if spread is None else spread[number]
                found += _of_layer(net, number, seen, pairs, worth, band, points, bins)
    return found


def worth_of(net: nn.Module, x: Tensor) -> Importance | None:
    """Return the importance on checked rows, or None if no output varies."""
    with torch.no_grad(), as_evaluated(net):
        varies = varying_columns(net(x))
    return importance(net, x) if bool(varies.any()) else None


def _of_layer(
    net: nn.Module,
    number: int,
    seen: Tensor | None,
    pairs: Tensor,
    worth: Importance | None,
    band: Tensor | None,
    points: int,
    bins: int,
) -> list[Edge]:
    layers = layers_of("edges", net)
    layer, last = layers[number], number == len(layers) - 1
    columns = torch.arange(layer.in_features) if layer.kept_inputs is None else layer.kept_inputs.cpu()
    grid = points_of_x(layer, seen, points)  # [S, I]
    values, slopes = tabulate(layer, grid, pairs)
    monotonicity, flatness = shape_of(slopes)  # [E]
    wanted = sorted(set(pairs[:, 1].tolist()))
    histograms = {} if seen is None else {i: _histogram(seen[:, i], bins) for i in wanted}
    own = copy.deepcopy(layer).requires_grad_(False)
    made = []
    for e, (o, i) in enumerate(pairs.tolist()):
        counts, ends = histograms.get(i, (None, None))
        made.append(
            Edge(
                layer=number,
                input=int(columns[i]),
                output=o,
                points=grid[:, i],
                values=values[:, e],
                histogram=counts,
                bin_edges=ends,
                share=None if worth is None else float(worth.shares[number][o, i]),
                additive=None if worth is None else float(worth.additive[number][o, i]),
                total=None if worth is None else float(worth.edges[number][o, i]),
                monotonicity=float(monotonicity[e]),
                flatness=float(flatness[e]),
                band=None if band is None else band[:, o, i],
                function=EdgeFunction(own, o, i, last),
            )
        )
    return made


def _histogram(column: Tensor, bins: int) -> tuple[Tensor, Tensor]:
    x = column.detach().double().cpu()
    low, high = float(x.min()), float(x.max())
    if low == high:  # torch.histogram would choose a wider range for a constant
        low, high = low - 0.5 * max(1e-3, abs(low) * 1e-3), high + 0.5 * max(1e-3, abs(high) * 1e-3)
    counts, ends = torch.histogram(x, bins, range=(low, high))
    return counts.to(torch.int64), ends
