"""Networks whose edges are given functions."""

from __future__ import annotations

import torch

import fasterkan as fk
from fasterkan.nn.edge_functions import panel


def set_edges(layer, functions):
    """Give a layer's edges the functions {(o, i): f}, by least squares over its grid; the others are 0."""
    low, high = layer.basis.grid_range
    points = torch.linspace(low, high, 2001, dtype=torch.float64)
    phi = panel(layer, points.unsqueeze(1).expand(-1, layer.in_features))
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.zero_()
        for (o, i), function in functions.items():
            layer.weight[o, i] = torch.linalg.lstsq(phi[:, i], function(points).unsqueeze(1)).solution[:, 0]
            torch.testing.assert_close(phi[:, i] @ layer.weight[o, i], function(points), rtol=1e-5, atol=1e-5)


def network_of(widths, reach, *layers):
    """A network of cubic splines with given functions on the edges; layer n's inputs lie within +-reach[n]."""
    bases = [fk.BSpline(grid_size=60, grid_range=(-r, r)) for r in reach]
    specs = [
        fk.LayerSpec(in_features=i, out_features=o, basis=basis)
        for i, o, basis in zip(widths, widths[1:], bases, strict=False)
    ]
    net = fk.KAN.from_specs(specs, dtype=torch.float64)
    for layer, functions in zip(net.kan_layers(), layers, strict=True):
        set_edges(layer, functions)
    return net
