"""Uncertainty of the functions on the edges, from the data and the residuals of the network."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .._arrays import array_of, as_targets, check_finite
from .._device import with_float64
from ..fitting.units import base_sizes
from ..nn import KANLinear
from ..nn.edge_functions import panel, panel_weights, points_of_x
from ._walk import Step, as_evaluated, one_variable, rows_of, walk

MOST_BAND_WEIGHTS = 3000
"""Largest number of weights of one layer; the covariance has its square as its size."""


def bands(net: nn.Module, X: Tensor, y: Tensor, *, points: int = 101) -> list[Tensor]:
    """Return the standard deviation of each edge's function over the range of the data, one [S, O, I] per layer.

    This is the linearised Laplace approximation for one layer at a time, with all other layers fixed. To first order
    the outputs are linear in the layer's weights w, with the Jacobian J:

        Cov w = (J^T J / s^2 + 1 / t^2)^-1,    Var f(x) = v(x)^T Cov w v(x),

    s^2 is the mean squared residual for each output, times N over N minus the number of weights that the data
    determines. t^2 is the mean square of the layer's own weights, as its prior. v(x) holds the edge's functions at x
    minus their mean over the data, because a constant can move between the edges of a node and its bias. The bands are
    cheap. They show how much the data and the noise leave an edge undetermined when the rest of the network is fixed.
    They do not include that other layers could change too, so the whole uncertainty is larger.

    Args:
        net: a network for `edges`.
        X: rows [N, I].
        y: targets, [N] or [N, O].
        points: S, the number of points of each function.

    Raises:
        TypeError, ValueError: net, X or y cannot be used; a layer has more than 3,000 weights.

    Source: D. MacKay, A practical Bayesian framework for backpropagation networks (1992); Immer et al. (arXiv
    2008.08400) for the linearised form.
    """
    return bands_for("bands", net, X, y, points)


def bands_for(caller: str, net: nn.Module, X: Tensor, y: Tensor, points: int) -> list[Tensor]:
    """Return `bands`; error messages name `caller`."""
    net = with_float64(net)
    layers = one_variable(caller, net)
    sizes = [layer.out_features * panel_weights(layer).shape[1] * panel_weights(layer).shape[2] for layer in layers]
    if max(sizes) > MOST_BAND_WEIGHTS:
        raise ValueError(
            f"{caller}: layer {sizes.index(max(sizes))} has {max(sizes)} weights, at most {MOST_BAND_WEIGHTS} are "
            "possible; leave y out, or prune the network first"
        )
    x = rows_of(caller, net, X)
    with as_evaluated(net):
        steps = walk(net, x)
        target = targets_of(caller, y, steps[-1].y)
        residual = (steps[-1].y.detach().double() - target).square().sum(0)  # [O of the last layer]
        return [
            _band(step, _behind(steps, number), residual, points_of_x(step.layer, step.x, points))
            for number, step in enumerate(steps)
        ]


def targets_of(caller: str, y: Any, outputs: Tensor) -> Tensor:
    """Return the targets as float64 numbers [N, O], in the shape of the outputs [N, O].

    Raises:
        TypeError, ValueError: y does not hold finite numbers, or has another shape.
    """
    found = as_targets(array_of(caller, "y", y).to(outputs.device), outputs)
    if not found.is_floating_point() or found.shape != outputs.shape:
        raise ValueError(
            f"{caller}: y is {found.dtype} {list(found.shape)}, expected floating-point {list(outputs.shape)}"
        )
    check_finite(caller, "y", found)
    return found.double()


def _behind(steps: list[Step], number: int) -> Tensor:
    """The gradient of the outputs with respect to the output of layer `number`, [N, C, O]."""
    with torch.enable_grad():
        first = steps[number].y.detach().requires_grad_()
        y = first
        for step in steps[number + 1 :]:
            y = step.layer(y)
        grads = [torch.autograd.grad(y[:, c].sum(), first, retain_graph=True)[0] for c in range(y.shape[1])]
    return torch.stack(grads, 1).double()


@torch.no_grad()
def _band(step: Step, behind: Tensor, residual: Tensor, grid: Tensor) -> Tensor:
    layer, rows = step.layer, len(step.x)
    functions, weight = _centred(layer, step.x, step.x), panel_weights(layer)  # [N, (O,) I, J], [O, I, J]
    size = torch.ones_like(weight[0])  # [I, J]; the base branch may have the units of x, and its weight 1 / them
    if layer.base_weight is not None:
        size[:, -1] = base_sizes(layer, step.x)
    functions, weight = functions / size, weight * size
    letters = "noij" if layer.basis.per_edge else "nij"
    alive = torch.ones(weight.shape[:2], dtype=torch.bool, device="cpu") if layer.mask is None else layer.mask
    alive = alive.to(weight.device).unsqueeze(-1).expand_as(weight).flatten()
    information = torch.zeros(int(alive.sum()), int(alive.sum()), dtype=torch.float64, device=weight.device)
    tiny = torch.finfo(torch.float64).tiny
    for c in range(behind.shape[1]):
        jacobian = torch.einsum(f"no,{letters}->noij", behind[:, c], functions).flatten(1)[:, alive]  # [N, P]
        product = jacobian.t() @ jacobian
        noise = float(residual[c]) / max(1, rows - int(torch.linalg.matrix_rank(product, hermitian=True)))
        information += product / max(noise, tiny**0.5)
    prior = max(float(weight.square().flatten()[alive].mean()), tiny**0.5)
    values, vectors = torch.linalg.eigh(information)
    root = torch.zeros(weight.numel(), len(values), dtype=torch.float64, device=weight.device)
    root[alive] = vectors * (values.clamp_min(0) + 1 / prior).rsqrt()  # Cov = root root^T
    at = _centred(layer, grid.to(step.x), step.x) / size  # [S, (O,) I, J]
    found = torch.empty(len(grid), *weight.shape[:2], dtype=torch.float64, device="cpu")
    for o, row in enumerate(root.view(*weight.shape, -1)):  # [I, J, P]
        here = at[:, o] if layer.basis.per_edge else at  # [S, I, J]
        for i, part in enumerate(row):
            found[:, o, i] = (here[:, i] @ part).square().sum(-1).sqrt().cpu()
    return found


def _centred(layer: KANLinear, x: Tensor, data: Tensor) -> Tensor:
    """The panel at x minus its mean over the data."""
    return panel(layer, x).detach() - panel(layer, data).detach().mean(0)
