"""Exact partial derivatives of a network's outputs with respect to its inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .._arrays import input_of
from .._check import whole_number
from ._walk import as_evaluated


def derivatives(net: nn.Module, x: Any, order: int = 1) -> Tensor:
    """Return all partial derivatives of one order, d^k y_o / dx_i dx_j ..., exact up to rounding.

    They are computed by nested differentiation (`torch.func`), not by finite differences: first reverse mode if the
    network has fewer outputs than inputs, then forward mode. The cost grows as I^order. The network is used in
    evaluation mode. The derivatives are differentiable with respect to x and the parameters, so they can be used in a
    loss that contains an equation.

    Args:
        net: maps [..., I] to [..., O], each row independently: a KAN, a KANLinear, or another module.
        x: points, [N, I], or one point [I]: a tensor, an array, a table or lists of numbers. They are rounded to the
            network's dtype.
        order: k, at least 1.

    Returns:
        [N, O, I] for order 1 (the Jacobian), [N, O, I, I] for order 2 (the Hessian), [N, O, I, ..., I] with k times I
        for order k. For one point there is no N. The dtype is that of the network.

    Raises:
        TypeError, ValueError: x does not hold numbers [N, I] or [I], or the order is below 1.

    Source: nesting of forward over reverse mode, as in Griewank and Walther, Evaluating Derivatives (2008).

    Example:
        >>> layer = torch.nn.Linear(3, 2)
        >>> derivatives(layer, torch.zeros(5, 3)).shape, derivatives(layer, torch.zeros(3), order=2).shape
        (torch.Size([5, 2, 3]), torch.Size([2, 3, 3]))
    """
    order = whole_number("derivatives", "order", order, 1)
    x = points_for("derivatives", net, x)
    with as_evaluated(net):
        with torch.no_grad():
            outputs = net(x.detach()[..., :1, :] if x.dim() == 2 else x.detach()).shape[-1]
        function: Callable[..., Any] = torch.func.jacrev(net) if outputs < x.shape[-1] else torch.func.jacfwd(net)
        for _ in range(order - 1):
            function = torch.func.jacfwd(function)
        if x.dim() == 1:
            return function(x)
        if not len(x):
            return x.new_zeros(0, outputs, *[x.shape[-1]] * order)
        return torch.func.vmap(function)(x)


def points_for(caller: str, net: nn.Module, x: Any) -> Tensor:
    """Return points [N, I] or one point [I] for a network, on its device and in its dtype.

    Raises:
        TypeError, ValueError: x does not hold real numbers, or has another shape.
    """
    x = input_of(caller, "x", x, net, graph=True)
    if x.dim() not in (1, 2):
        raise ValueError(f"{caller}: x is {list(x.shape)}, expected points [N, I] or one point [I]")
    return x
