"""All edges of a network as objects."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .._check import whole_number
from .._device import exact_on_cpu, with_float64
from ..nn import KANLinear
from ..nn.edge_functions import moments, points_of_x, tabulate
from ._names import column_names, input_names, output_names
from ._walk import as_evaluated, layers_of, one_variable, rows_of, varying_columns, walk
from .edge import Edge, EdgeFunction, shape_of
from .importance_result import Importance
from .importances import importance
from .uncertainty import bands_for


def edges(
    net: nn.Module,
    X: Any = None,
    y: Any = None,
    *,
    points: int = 101,
    bins: int = 20,
    names: Sequence[str] | None = None,
    outputs: Sequence[str] | None = None,
    bands: Sequence[Tensor] | None = None,
) -> list[Edge]:
    """Return every edge of a network as an `Edge`, without pruned edges.

    With X, the functions are centred: each has the mean 0 over the data, and `Edge.mean` is what was subtracted.
    Otherwise one edge of a node could run from 85 to 91, and the others near -40.

    Args:
        net: a KAN or a KANLinear in which each edge is a function of one variable: its norms must be norm="feature"
            (calibrated) or None.
        X: rows [N, I], which set the range of each edge's function, the histograms and the shares. Without X the range
            is the calibrated range of the norm, or the basis' grid_range for norm=None.
        y: targets of X, [N] or [N, O], numbers; adds bands of uncertainty (`bands`).
        points: S, the number of points of each function's table, at least 2.
        bins: B, the number of bins of the histograms.
        names: names of the columns of X; default the network's own (`set_names`), or else x1, x2, ...
        outputs: names of the outputs; default the network's own, or else y1, y2, ...
        bands: the result of `bands` or `bootstrap_bands` for this net, X and number of points, instead of y.

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
    net = with_float64(net)
    layers = one_variable("edges", net)
    if (y is not None or bands is not None) and X is None:
        given = "bands were" if y is None else "y was"
        raise ValueError(f"edges: {given} given without X; give the rows X too")
    if y is not None and bands is not None:
        raise ValueError("edges: give y or bands, not both")
    left = column_names("edges", names, input_names(layers[0]))
    right = column_names("edges", outputs, output_names(layers[-1]))
    seen = None if X is None else rows_of("edges", net, X)
    spread = None if bands is None else _checked(bands, layers, points)
    if y is not None and seen is not None:
        spread = bands_for("edges", net, seen, y, points)
    worth = None if seen is None else worth_of(net, seen)
    return chosen_edges(net, seen, worth, None, spread, points, bins, (left, right))


def _checked(bands: Sequence[Tensor], layers: Sequence[KANLinear], points: int) -> Sequence[Tensor]:
    """Return bands that have the shapes of the network's edges."""
    wanted = [(points, layer.out_features, layer.in_features) for layer in layers]
    got = [tuple(band.shape) for band in bands]
    if got != wanted:
        raise ValueError(
            f"edges: bands are {got}, expected {wanted}; give the result of bands or bootstrap_bands for this network, "
            f"with points={points}"
        )
    return bands


def chosen_edges(
    net: nn.Module,
    x: Tensor | None,
    worth: Importance | None,
    chosen: Sequence[Tensor] | None,
    spread: Sequence[Tensor] | None,
    points: int,
    bins: int,
    names: tuple[Sequence[str], Sequence[str]],
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
        names: names of the columns of X, and of the outputs.
    """
    layers = layers_of("edges", net)
    xs: list[Tensor | None] = [None] * len(layers)
    with as_evaluated(net):
        if x is not None:
            with torch.no_grad():
                xs = [step.x for step in walk(net, x)]
        found: list[Edge] = []
        for number, (layer, seen) in enumerate(zip(layers, xs, strict=True)):
            every = torch.ones(layer.weight.shape[:2], dtype=torch.bool, device="cpu")
            alive = every if layer.mask is None else layer.mask.cpu()
            pairs = (alive if chosen is None else alive & chosen[number]).nonzero()
            if len(pairs):
                band = None if spread is None else spread[number]
                found += _of_layer(net, number, seen, pairs, worth, band, points, bins, names)
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
    names: tuple[Sequence[str], Sequence[str]],
) -> list[Edge]:
    layers = layers_of("edges", net)
    layer, last = layers[number], number == len(layers) - 1
    left, right = names
    columns = torch.arange(layer.in_features, device="cpu") if layer.kept_inputs is None else layer.kept_inputs.cpu()
    grid = points_of_x(layer, seen, points)  # [S, I]
    values, slopes = tabulate(layer, grid, pairs)
    monotonicity, flatness = shape_of(slopes)  # [E]
    wanted = sorted(set(pairs[:, 1].tolist()))
    histograms = {} if seen is None else {i: _histogram(seen[:, i], bins) for i in wanted}
    own = copy.deepcopy(layer).requires_grad_(False)
    means = torch.zeros(layer.weight.shape[:2], device="cpu") if seen is None else moments(layer, seen)[0].cpu()
    made = []
    for e, (o, i) in enumerate(pairs.tolist()):
        counts, ends = histograms.get(i, (None, None))
        mean = float(means[o, i])
        made.append(
            Edge(
                layer=number,
                input=int(columns[i]),
                output=o,
                points=grid[:, i],
                values=values[:, e] - mean,
                mean=mean,
                histogram=counts,
                bin_edges=ends,
                share=None if worth is None else float(worth.shares[number][o, i]),
                additive=None if worth is None else float(worth.additive[number][o, i]),
                total=None if worth is None else float(worth.edges[number][o, i]),
                monotonicity=float(monotonicity[e]),
                flatness=float(flatness[e]),
                band=None if band is None else band[:, o, i],
                start=left[int(columns[i])] if number == 0 else f"h{number}.{i + 1}",
                end=right[o] if last else f"h{number + 1}.{o + 1}",
                function=EdgeFunction(own, o, i, mean),
            )
        )
    return made


def _histogram(column: Tensor, bins: int) -> tuple[Tensor, Tensor]:
    x = exact_on_cpu(column.detach())
    low, high = float(x.min()), float(x.max())
    if low == high:  # torch.histogram would choose a wider range for a constant
        low, high = low - 0.5 * max(1e-3, abs(low) * 1e-3), high + 0.5 * max(1e-3, abs(high) * 1e-3)
    counts, ends = torch.histogram(x, bins, range=(low, high))
    return counts.to(torch.int64), ends
