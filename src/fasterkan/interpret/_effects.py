"""The effect of shuffling an input, a node or an edge on the outputs: computed directly, or to first order."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor

from ..nn.computed import plain_copy
from ..nn.edge_functions import chunks, edge_values, moments, panel_weights, sum_rows
from ._walk import Step

_PROBES = 32
_MODERATE = 1e100
"""The squares of this size and of its inverse are far from the limits of float64."""


@dataclasses.dataclass(frozen=True)
class Effects:
    """Total importance in each layer: of its inputs [I], and of its edges [O, I]."""

    nodes: list[Tensor]
    edges: list[Tensor]


@torch.no_grad()
def shuffle_effects(
    steps: list[Step], variance: Tensor, varies: Tensor, repeats: int, generator: torch.Generator
) -> Effects:
    """Return the effect of shuffling each part over the rows on the outputs.

    Args:
        steps: the network on the data.
        variance: variance of each output [O].
        varies: which outputs are used [O], booleans.
        repeats: number of shuffles to average.
        generator: draws the shuffles.
    """
    rows = len(steps[0].x)
    # Shifts of one shuffled order: no row keeps its own value.
    order = torch.randperm(rows, generator=generator)
    shifts = 1 + torch.randperm(rows - 1, generator=generator)[:repeats]
    orders = []
    for shift in shifts.tolist():
        partner = torch.empty(rows, dtype=torch.int64)
        partner[order] = order.roll(shift)
        orders.append(partner.to(steps[0].x.device))
    outputs = steps[-1].y.double()

    def effect(behind: int, change: Callable[[Tensor], Tensor]) -> Tensor:
        """Mean effect on the outputs of a change of the output y of layer `behind`, over the shuffles."""
        total = torch.zeros((), dtype=torch.float64, device=outputs.device)
        for order in orders:
            y = (steps[behind].y.double() + change(order)).to(steps[behind].y.dtype)
            for step in steps[behind + 1 :]:
                y = step.layer(y)
            squares = (y.double() - outputs).square().mean(0)  # [O]
            total = total + (squares[varies] / variance[varies]).mean() / 2
        return total / len(orders)

    nodes, edges = [], []
    for number, step in enumerate(steps[:-1]):
        values = edge_values(step.layer, step.x)  # [N, O, I]
        alive = panel_weights(step.layer).abs().sum(-1) > 0
        edge, node = torch.zeros_like(alive, dtype=torch.float64), torch.zeros_like(values[0, 0])
        for i in range(step.layer.in_features):
            if not bool(alive[:, i].any()):
                continue
            node[i] = effect(number, lambda order, f=values[:, :, i]: f[order] - f)  # type: ignore[misc]
            for o in alive[:, i].nonzero().flatten().tolist():
                one = torch.zeros(step.layer.out_features, dtype=torch.float64, device=values.device)
                one[o] = 1
                edge[o, i] = effect(
                    number,
                    lambda order, f=values[:, o, i], one=one: (f[order] - f).unsqueeze(-1) * one,  # type: ignore[misc]
                )
        nodes.append(node)
        edges.append(edge)
    # For the edges of the last layer the mean over all shuffles is known: their variance.
    spread = moments(steps[-1].layer, steps[-1].x)[1] * rows / (rows - 1)
    edges.append(torch.where(varies, 1 / variance, 0).unsqueeze(-1) * spread / varies.sum())
    nodes.append(edges[-1].sum(0))
    return Effects(nodes, edges)


def no_effects(steps: list[Step]) -> Effects:
    """Return zeros for every part."""
    edges = [torch.zeros_like(step.layer.weight[..., 0].detach(), dtype=torch.float64) for step in steps]
    return Effects([edge.sum(0) for edge in edges], edges)


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


def gradient_effects(steps: list[Step], variance: Tensor, varies: Tensor, generator: torch.Generator) -> Effects:
    """Treat the network after each layer as linear in each row; arguments as in `shuffle_effects`."""
    nodes, edges = [], []
    for step, sensitivity in zip(steps, sensitivities(steps, variance, varies, generator), strict=True):
        x = step.x.detach()
        _, spread, covariance = moments(step.layer, x)
        edges.append(spread * sensitivity.diagonal().unsqueeze(-1))
        if covariance is None:
            center = sum_rows(edge_values(step.layer, part).detach().sum(0) for part in chunks(step.layer, x)) / len(x)
            parts = (edge_values(step.layer, part).detach() - center for part in chunks(step.layer, x))
            squares = ((f * torch.einsum("op,npi->noi", sensitivity, f)).sum((0, 1)) for f in parts)
            nodes.append(sum_rows(squares) / len(x))
        else:
            weight = panel_weights(step.layer)
            mixed = (sensitivity @ weight.flatten(1)).view_as(weight)  # [O, I, J]
            inner = torch.einsum("oij,oik->ijk", weight, mixed)
            nodes.append((inner * covariance).sum((1, 2)))
    return Effects([n.clamp_min(0) for n in nodes], edges)


def sensitivities(steps: list[Step], variance: Tensor, varies: Tensor, generator: torch.Generator) -> list[Tensor]:
    """Return for each layer G [O, O], the mean over rows and outputs f of df/dy_o df/dy_p / Var f, float64."""
    with torch.enable_grad():
        y = steps[0].y.detach().requires_grad_()
        ys = [y]
        for step in steps[1:]:
            y = step.layer(y)
            ys.append(y)
        scale = torch.where(varies, variance, 1).rsqrt() * varies  # [O]
        count = int(varies.sum())
        if count <= _PROBES:
            signs = torch.eye(len(scale), dtype=torch.float64)[varies.cpu()]
        else:
            shape = (_PROBES, len(scale))
            signs = (torch.randint(0, 2, shape, generator=generator) * 2 - 1).double()
        found = [torch.zeros(t.shape[1], t.shape[1], dtype=torch.float64, device=t.device) for t in ys]
        for row in signs.to(scale.device):
            cotangent = (row * scale).to(y.dtype).expand_as(y)
            for total, grad in zip(found, torch.autograd.grad(y, ys, cotangent, retain_graph=True), strict=True):
                exact = grad.double()
                total += exact.t() @ exact / len(exact)
    return [total / (count if count <= _PROBES else _PROBES * count) for total in found]
