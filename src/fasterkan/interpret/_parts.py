"""The parts of a network's outputs that come from each node of a layer, and their covariance matrices."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from ..nn.computed import plain_copy
from ..nn.edge_functions import chunks, edge_values, moments
from ._shapley import shapley_weights, subsets
from ._walk import Step

_PROBES = 32
_MODERATE = 1e100
"""The squares of this size and of its inverse are far from the limits of float64."""
_ALL = 5
"""Up to this number of nodes, all subsets of them are exchanged."""
_BATCHES = 8
"""Number of batches of other rows; the standard errors come from their differences."""
_BLOCK = 1 << 21
"""Largest number of outputs of edges, or of rows for the rest of the network, that are computed at once."""
_EVALUATIONS = 1 << 19
_REPEATS = (16, 256)
"""Number of rows that the rest of the network evaluates for one layer, and the limits of the repeats that follow."""


@dataclasses.dataclass(frozen=True)
class Scale:
    """The outputs' scale: [O] factors that give each of the outputs that vary the same variance; 0 for the others.

    The variances of the scaled outputs sum to 1.
    """

    factor: Tensor

    @classmethod
    def of(cls, y: Tensor, varies: Tensor) -> Scale:
        """Return the scale of outputs y [N, O]; `varies` says which of them vary, [O]."""
        variance = torch.where(varies, y.detach().double().var(0, correction=0), 1)
        return cls(torch.where(varies, (variance * varies.sum().clamp_min(1)).rsqrt(), 0))


@torch.no_grad()
def sum_covariance(step: Step, scale: Scale) -> Tensor:
    """Return the covariance matrix [I, I] of the parts of a last layer: the outputs are the sums of its edges."""
    center = moments(step.layer, step.x)[0]
    total = torch.zeros(step.layer.in_features, step.layer.in_features, dtype=torch.float64, device=step.x.device)
    for x in _blocks(step, step.x):
        parts = (edge_values(step.layer, x) - center) * scale.factor.unsqueeze(-1)
        flat = parts.flatten(0, 1)
        total += flat.t() @ flat
    return total / len(step.x)


@torch.no_grad()
def exchanged_covariances(
    steps: list[Step], number: int, scale: Scale, repeats: int | None, generator: torch.Generator
) -> Tensor:
    """Return covariance matrices [1 + B, I, I] of the parts of the nodes that enter layer `number`.

    The first is that of all repeats, the others are those without one of B batches of the repeats.

    The part of a node in a row is its Shapley value in the game in which the nodes outside a set have the values of
    another row; it is the mean over `repeats` other rows. The parts of a row sum to its output minus a constant.
    """
    step, rows, count = steps[number], len(steps[number].x), steps[number].layer.in_features
    small = count <= _ALL
    each = 2**count if small else 2 * (count + 1)
    if repeats is None:
        repeats = min(max(_EVALUATIONS // (each * rows), _REPEATS[0]), _REPEATS[1])
    repeats = min(repeats, rows)
    batches = min(_BATCHES, repeats)
    others = torch.randperm(rows, generator=generator, device="cpu")[:repeats].tolist()
    games = [(subsets(count), shapley_weights(count))] * repeats if small else []
    games = games or [_two_orders(torch.randperm(count, generator=generator, device="cpu")) for _ in others]
    edges = edge_values(step.layer, step.x[others])  # [R, O, I]
    blocks = max(1, _BLOCK // max(each, (1 + batches) * len(scale.factor) * count))
    total = torch.zeros(1 + batches, count, count, dtype=torch.float64, device=step.x.device)
    mean = total.new_zeros(1 + batches, len(scale.factor), count)
    for x, y in zip(step.x.split(blocks), step.y.split(blocks), strict=True):
        own = edge_values(step.layer, x)  # [n, O, I]
        parts = own.new_zeros(batches, len(scale.factor), len(x), count)
        for other, (inside, weights) in enumerate(games):
            outside = 1 - inside.to(own)  # [K, I]
            moved = (outside @ (edges[other] - own).mT).transpose(0, 1)  # [K, n, O]
            z = (y.double() + moved).to(y.dtype)
            for behind in steps[number + 1 :]:
                z = behind.layer(z)
            scaled = (z.double() * scale.factor).flatten(1)  # [K, n C]
            parts[other % batches] += (scaled.t() @ weights.to(own).t()).view(len(x), -1, count).transpose(0, 1)
        whole = parts.sum(0, keepdim=True)
        kept_repeats = [repeats] + [repeats - len(range(b, repeats, batches)) for b in range(batches)]
        counts = torch.tensor(kept_repeats, dtype=own.dtype, device=own.device)
        kept = torch.cat([whole, whole - parts]) / counts.clamp_min(1).view(-1, 1, 1, 1)  # [1 + B, C, n, I]
        flat = kept.flatten(1, 2)
        total += flat.mT @ flat
        mean += kept.sum(2)
    return total / rows - mean.mT @ mean / rows**2


def _two_orders(order: Tensor) -> tuple[Tensor, Tensor]:
    """The subsets [K, I] that nodes form which join in an order or its reverse, and the weights [I, K] of the gains."""
    count = len(order)
    members = torch.ones(count + 1, count, dtype=torch.float64, device="cpu").tril(-1)  # in order
    gains = torch.zeros(count, count + 1, dtype=torch.float64, device="cpu")
    place = torch.arange(count, device="cpu")
    gains[place, place + 1], gains[place, place] = 0.5, -0.5
    inside, weights = members.new_empty(2, count + 1, count), members.new_empty(2, count, count + 1)
    for each, sequence in enumerate((order, order.flip(0))):
        inside[each][:, sequence] = members
        weights[each][sequence] = gains
    return inside.flatten(0, 1), weights.transpose(0, 1).flatten(1)


def linear_covariance(step: Step, slopes: Tensor) -> Tensor:
    """Return the covariance matrix [I, I] of the parts of the nodes that enter a layer, to first order in each row.

    Args:
        step: the layer on the data.
        slopes: derivatives of the scaled outputs with respect to the layer's outputs, [N, C, O].
    """
    center = moments(step.layer, step.x)[0]
    total = torch.zeros(step.layer.in_features, step.layer.in_features, dtype=torch.float64, device=step.x.device)
    mean = total.new_zeros(slopes.shape[1], step.layer.in_features)
    start = 0
    with torch.no_grad():
        for x in _blocks(step, step.x):
            here = slopes[start : start + len(x)].double()
            parts = here @ (edge_values(step.layer, x) - center)  # [n, C, I]
            start += len(x)
            flat = parts.flatten(0, 1)
            total += flat.t() @ flat
            mean += parts.sum(0)
    return total / len(step.x) - mean.t() @ mean / len(step.x) ** 2


def slopes_behind(steps: list[Step], scale: Scale, generator: torch.Generator) -> list[Tensor]:
    """Return for each layer the derivatives of the scaled outputs with respect to its outputs, [N, C, O].

    If more than 32 outputs vary, C = 32 random signed sums of them are used instead.
    """
    with torch.enable_grad():
        y = steps[0].y.detach().requires_grad_()
        ys = [y]
        for step in steps[1:]:
            y = step.layer(y)
            ys.append(y)
        varies = scale.factor > 0
        count = int(varies.sum())
        if count <= _PROBES:
            signs = torch.eye(len(varies), dtype=torch.float64, device="cpu")[varies.cpu()]
        else:
            shape = (_PROBES, len(varies))
            signs = (torch.randint(0, 2, shape, generator=generator, device="cpu") * 2 - 1).double() / _PROBES**0.5
        found: list[list[Tensor]] = [[] for _ in ys]
        for row in signs.to(scale.factor.device):
            cotangent = (row * scale.factor).to(y.dtype).expand_as(y)
            for each, grad in zip(found, torch.autograd.grad(y, ys, cotangent, retain_graph=True), strict=True):
                each.append(grad)
    return [torch.stack(each, 1) for each in found]


@torch.no_grad()
def node_covariances(step: Step) -> Tensor:
    """Return for each node the covariance matrix of the edges that end there, [O, I, I]."""
    center, width = moments(step.layer, step.x)[0], step.layer.in_features
    total = torch.zeros(step.layer.out_features, width, width, dtype=torch.float64, device=step.x.device)
    for x in _blocks(step, step.x):
        parts = (edge_values(step.layer, x) - center).transpose(0, 1)  # [O, n, I]
        total += parts.mT @ parts
    return total / len(step.x)


def _blocks(step: Step, x: Tensor) -> list[Tensor]:
    """Rows of x in blocks of which the panel and the edges' values are not too large."""
    each = max(1, _BLOCK // step.layer.weight[..., 0].numel())
    return [part for block in chunks(step.layer, x) for part in block.split(each)]


@torch.no_grad()
def of_moderate_size(steps: list[Step]) -> list[Step]:
    """Return the steps with outputs whose squares are finite and not 0; very large or small ones are rescaled.

    The weights of the last layer are divided by powers of two, in a copy. Shares of variance do not change.
    """
    last = steps[-1]
    size = last.y.detach().abs().amax(0)  # [O]
    if last.y.dtype != torch.float64 or not bool(((size > _MODERATE) | (size < 1 / _MODERATE) & (size > 0)).any()):
        return steps
    shrink = torch.exp2(-size.log2().round()).where(size > 0, 1)
    layer = plain_copy(last.layer)
    for tensor in (layer.weight, layer.base_weight, layer.bias):
        if tensor is not None:
            tensor.mul_(shrink.view(-1, *[1] * (tensor.dim() - 1)))
    return [*steps[:-1], Step(layer, last.x, last.y * shrink)]
