"""Uncertainty of the functions on the edges, by fits to resampled rows."""

from __future__ import annotations

import copy
from typing import Literal

import torch
from torch import Tensor, nn

from .._check import whole_number
from .._device import with_float64
from ..fitting import fit as second_order
from ..nn import KANLinear
from ..nn.edge_functions import edge_values, points_of_x
from ._walk import as_evaluated, layers_of, one_variable, rows_of, walk
from .uncertainty import targets_of


def bootstrap_bands(
    net: nn.Module,
    X: Tensor,
    y: Tensor,
    *,
    draws: int = 20,
    points: int = 101,
    smoothness: float | Literal["auto"] = "auto",
    seed: int = 0,
) -> list[Tensor]:
    """Return the standard deviation of each edge's function over a bootstrap, one tensor [S, O, I] per layer.

    Each draw takes N of the N rows with replacement, as weights. It fits a copy of the whole network to them with
    `fk.fit`, starting from the given network. The functions are compared as in `bands`: over the range of the data that
    the layers of the given network get, minus their mean over this data. These bands include that one layer can replace
    the effect of another. They are therefore wider than those of `bands`, and they cost `draws` fits.

    Args:
        net: a network for `edges`, fitted to X and y; it does not change.
        X: rows [N, I].
        y: targets, [N] or [N, O].
        draws: number of fits, at least 2.
        points: S, the number of points of each function, at least 2.
        smoothness: smoothness of the fits, as in `fk.fit`; give the value that was used for the network.
        seed: seed of the random rows.

    Raises:
        TypeError, ValueError: net, X or y cannot be used.

    Source: B. Efron, Bootstrap methods: another look at the jackknife (1979).

    Example:
        >>> net, x = KAN([1, 1], norm="feature"), torch.linspace(-1, 1, 50).unsqueeze(1)
        >>> _ = fit(net, x, x[:, 0] ** 2, starts=1, progress=False)
        >>> [band.shape for band in bootstrap_bands(net, x, x[:, 0] ** 2, draws=2)]
        [torch.Size([101, 1, 1])]
    """
    whole_number("bootstrap_bands", "draws", draws, 2)
    whole_number("bootstrap_bands", "points", points, 2)
    net = with_float64(net)
    one_variable("bootstrap_bands", net)
    x = rows_of("bootstrap_bands", net, X)
    with torch.no_grad(), as_evaluated(net):
        steps = walk(net, x)
    target = targets_of("bootstrap_bands", y, steps[-1].y)
    places = [(points_of_x(step.layer, step.x, points).to(step.x), step.x) for step in steps]
    generator = torch.Generator("cpu").manual_seed(whole_number("bootstrap_bands", "seed", seed, 0))
    found = []
    for _ in range(draws):
        drawn = torch.randint(len(x), (len(x),), generator=generator, device="cpu")
        counts = torch.bincount(drawn, minlength=len(x))
        refitted = copy.deepcopy(net)
        second_order(
            refitted, x, target, weights=counts, starts=0, grids=None, held_out=0.0, smoothness=smoothness,
            progress=False,
        )  # fmt: skip
        with torch.no_grad(), as_evaluated(refitted):
            layers = layers_of("bootstrap_bands", refitted)
            found.append([_centred(layer, *place) for layer, place in zip(layers, places, strict=True)])
    return [torch.stack(draw).std(0).cpu() for draw in zip(*found, strict=True)]


def _centred(layer: KANLinear, grid: Tensor, data: Tensor) -> Tensor:
    """The functions on the grid minus their means over the data, [S, O, I]."""
    return edge_values(layer, grid) - edge_values(layer, data).mean(0)
