"""Merging of two layers into one, when the functions of the second are sums over the inputs of the first."""

from __future__ import annotations

import copy
import dataclasses

import torch
from torch import Tensor

from ...models import KAN
from ...nn import FeatureScaling, KANLinear
from ...nn.edge_functions import panel
from .._walk import as_evaluated, walk
from .masks import full_masks

MOST_MERGED_WEIGHTS = 1000
"""Largest number of weights of one node of the merged layer."""


@torch.no_grad()
def merge(net: KAN, number: int, x: Tensor) -> KAN | None:
    """Return the network with layers `number` and `number + 1` replaced by one, fitted to them by least squares.

    The new layer goes from the inputs of the first to the outputs of the second, with the norm and basis of the first.
    It has an edge where a path existed. It gives the same outputs if each output is a sum of functions of one input
    each. This holds if every hidden node has one incoming edge, or if all outgoing edges are straight lines. Otherwise
    it is the best approximation by such sums.

    Args:
        net: a network with a bias in each layer.
        number: number of the first of the two layers.
        x: rows [N, I].

    Returns:
        The network, or None if the layers cannot be merged: a norm over rows, a basis with tensors for each edge, or
        more weights per node than rows / 2 or 1,000.
    """
    first, second = net.kan_layers()[number : number + 2]
    width = first.weight.shape[2] + int(first.base_weight is not None)
    unknown = first.in_features * width + 1
    harmless = all(layer.norm is None or isinstance(layer.norm, FeatureScaling) for layer in (first, second))
    if not harmless or first.basis.per_edge or unknown > min(MOST_MERGED_WEIGHTS, len(x) // 2):
        return None
    masks = full_masks(net)
    paths = (masks[number + 1].double() @ masks[number].double()) > 0  # [O, I]
    with as_evaluated(net):
        steps = walk(net, x)
    values = panel(first, steps[number].x)  # [N, I, J]
    made = _like(net, number)
    layer = made.kan_layers()[number]
    for o, target in enumerate(steps[number + 1].y.double().t()):
        columns = values[:, paths[o]].flatten(1)
        _set_node(layer, o, paths[o], *_least_squares(columns, target))
    if not bool(paths.all()):
        layer.set_mask(paths)
    return made


def _like(net: KAN, number: int) -> KAN:
    """A copy of the network with one layer less, at `number`."""
    made = copy.deepcopy(net)
    first, second = made.kan_layers()[number : number + 2]
    like = first.weight
    spec = dataclasses.replace(
        first.spec, out_features=second.out_features, bias=True, mask=False, output_names=second.output_names
    )
    drawn = torch.Generator("cpu")  # the drawn weights are replaced; torch's random state must not change
    layer = KANLinear.from_spec(spec, device=like.device, dtype=like.dtype, generator=drawn).eval()
    layer.norm, layer.base, layer.base_norm, layer.path = first.norm, first.base, first.base_norm, first.path
    layer.set_functions(first.basis, first.basis_tensors(), torch.zeros_like(layer.weight))
    made.layers[number] = layer
    del made.layers[number + 1]
    return made


def _least_squares(columns: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Weights [P] and constant of a linear fit; weights that the data does not determine stay small."""
    center, middle = columns.mean(0), target.mean()
    u, s, vh = torch.linalg.svd(columns - center, full_matrices=False)
    floor = 1e-9 * s.amax() if s.numel() else s.new_zeros(())
    found = vh.t() @ (u.t() @ (target - middle) * s / (s.square() + floor.square() + torch.finfo(s.dtype).tiny))
    return found, middle - center @ found


def _set_node(layer: KANLinear, o: int, columns: Tensor, found: Tensor, constant: Tensor) -> None:
    functions = found.view(-1, layer.weight.shape[2] + int(layer.base_weight is not None)).to(layer.weight.dtype)
    layer.weight[o] = 0
    layer.weight[o, columns] = functions[:, : layer.weight.shape[2]]
    if layer.base_weight is not None:
        layer.base_weight[o] = 0
        layer.base_weight[o, columns] = functions[:, -1]
    assert layer.bias is not None
    layer.bias[o] = constant.to(layer.bias.dtype)
