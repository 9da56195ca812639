"""The loss over rows with its Gauss-Newton matrix, for several networks in parallel."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap

from .flat import FlatNet
from .losses import Loss

CHUNK_BYTES = 64 << 20
"""Largest size of the Jacobian of one chunk of rows, for all networks together."""

CHUNK_ROWS = 4096
"""Number of rows per chunk if only the gradient is needed."""

RowFunction = Callable[[nn.Module, Tensor], Tensor]
"""(net, x [n, I]) -> [n] or [n, M]: each row of the result depends on its own row of x only."""


class Rows:
    """factor / (sum w) sum_n w_n sum_m loss(f_m(x_n), t_nm) / M over rows; f is the network or a function of it.

    Args:
        flat: the network's shape.
        function: computes f, which is compared with the targets; each row must depend on its own point only.
        points: x [N, I], float64.
        targets: t [N, M], float64.
        weights: w [N], not negative, not all 0.
        loss: the loss of each element.
        factor: a factor of the whole sum.
    """

    def __init__(
        self,
        flat: FlatNet,
        function: RowFunction,
        points: Tensor,
        targets: Tensor,
        weights: Tensor,
        loss: Loss,
        factor: float = 1.0,
    ) -> None:
        self.points, self.targets, self.loss = points, targets, loss
        self.weights = (weights / weights.sum() * (factor / targets.shape[1])).unsqueeze(-1)  # [N, 1]
        caller = _Caller(flat.net, function)

        def outputs(theta: Tensor, constants: dict[str, Tensor], x: Tensor) -> Tensor:
            tensors = {f"net.{k}": t for k, t in {**flat.unflatten(theta), **constants}.items()}
            return functional_call(caller, tensors, (x,))

        def row(theta: Tensor, constants: dict[str, Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
            value = outputs(theta, constants, x.unsqueeze(0)).squeeze(0)
            return value, value

        self._outputs = vmap(outputs, in_dims=(0, 0, None))
        one_row = jacrev(row, has_aux=True)
        self._jacobian = vmap(vmap(one_row, in_dims=(None, None, 0)), in_dims=(0, 0, None))

    def outputs(self, theta: Tensor, constants: dict[str, Tensor]) -> Tensor:
        """Return f [S, N, M] of S networks theta [S, P]."""
        with torch.no_grad():
            return self._outputs(theta, constants, self.points)

    def value(self, theta: Tensor, constants: dict[str, Tensor]) -> Tensor:
        """Return the weighted mean loss [S] of S networks."""
        losses = self.loss.value(self.outputs(theta, constants), self.targets)
        return (losses * self.weights).sum((-2, -1))

    def by_output(self, theta: Tensor, constants: dict[str, Tensor]) -> Tensor:
        """Return the part of each output in the loss, [S, M]."""
        losses = self.loss.value(self.outputs(theta, constants), self.targets)
        return (losses * self.weights).sum(-2)

    def normal(self, theta: Tensor, constants: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the Gauss-Newton matrix [S, P, P] and the gradient [S, P], summed over chunks of rows."""
        lanes, size = theta.shape
        matrix, gradient = theta.new_zeros(lanes, size, size), theta.new_zeros(lanes, size)
        step = max(1, CHUNK_BYTES // (8 * lanes * size * self.targets.shape[1]))
        for start in range(0, len(self.points), step):
            part = slice(start, start + step)
            with torch.no_grad():
                jacobian, value = self._jacobian(theta, constants, self.points[part])  # [S, n, M, P], [S, n, M]
                slope, curvature = self.loss.slope_and_curvature(value, self.targets[part])
                flat_jacobian = jacobian.flatten(1, 2)  # [S, n M, P]
                gradient += ((slope * self.weights[part]).flatten(1).unsqueeze(1) @ flat_jacobian).squeeze(1)
                scaled = flat_jacobian * (curvature * self.weights[part]).sqrt().flatten(1).unsqueeze(-1)
                matrix.baddbmm_(scaled.mT, scaled)
        return matrix, gradient

    def gradient(self, theta: Tensor, constants: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the weighted mean loss [S] and its gradient [S, P], summed over chunks of rows."""
        value, gradient = theta.new_zeros(len(theta)), torch.zeros_like(theta)
        for start in range(0, len(self.points), CHUNK_ROWS):
            part = slice(start, start + CHUNK_ROWS)
            leaf = theta.detach().requires_grad_()
            losses = self.loss.value(self._outputs(leaf, constants, self.points[part]), self.targets[part])
            total = (losses * self.weights[part]).sum((-2, -1))  # [S]
            gradient += slope_at(total.sum(), leaf)
            value += total.detach()
        return value, gradient


def slope_at(total: Tensor, leaf: Tensor) -> Tensor:
    """Return d total / d leaf; 0 if total does not depend on leaf."""
    if not total.requires_grad:
        return torch.zeros_like(leaf)
    return torch.autograd.grad(total, leaf, materialize_grads=True)[0]


class _Caller(nn.Module):
    """A function of a network and points, as a module, so that functional_call can replace the network's tensors."""

    def __init__(self, net: nn.Module, function: RowFunction) -> None:
        super().__init__()
        self.net, self.function = net, function

    def forward(self, x: Tensor) -> Tensor:
        value = self.function(self.net, x)
        return value if value.dim() == 2 else value.reshape(len(x), -1)
