"""The loss over rows with its Gauss-Newton matrix, for several networks in parallel."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap

from .._torch import compiler_is_imported
from .clock import Clock
from .flat import FlatNet
from .losses import Loss

CHUNK_BYTES = 16 << 20
"""Largest size of the Jacobian of one chunk of rows, for all networks together."""

CHUNK_ROWS = 16384
"""Number of rows per chunk, for all networks together, if only values or the gradient are needed."""

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
        clock: checked before each chunk of rows; it may end the computation.

    Attributes:
        count: N.
        share: the number of equal weights that determine as much as these, (sum w)^2 / sum w^2, divided by N.
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
        clock: Clock | None = None,
    ) -> None:
        self.points, self.targets, self.loss = points, targets, loss
        self.clock = Clock() if clock is None else clock
        self.total = factor / targets.shape[1]
        self.weights = (weights / weights.sum() * self.total).unsqueeze(-1)  # [N, 1]
        self.count = len(points)
        self.share = float(self.weights.sum().square() / self.weights.square().sum()) / self.count
        caller = _Caller(flat.net, function)

        def outputs(theta: Tensor, constants: dict[str, Tensor], x: Tensor) -> Tensor:
            tensors = {f"net.{k}": t for k, t in {**flat.unflatten(theta), **constants}.items()}
            return functional_call(caller, tensors, (x,))

        def one(theta: Tensor, constants: dict[str, Tensor], x: Tensor) -> Tensor:
            return outputs(theta[0], {name: tensor[0] for name, tensor in constants.items()}, x).unsqueeze(0)

        def row(theta: Tensor, constants: dict[str, Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
            value = outputs(theta, constants, x.unsqueeze(0)).squeeze(0)
            return value, value

        self._outputs = vmap(outputs, in_dims=(0, 0, None))
        self._one = one
        one_row = jacrev(row, has_aux=True)
        self._fast_jacobian = vmap(vmap(one_row, in_dims=(None, None, 0)), in_dims=(0, 0, None))
        self._each = vmap(vmap(lambda *row: outputs(*row).squeeze(0), in_dims=(0, None, 0)), in_dims=(0, 0, None))

    def between(self, start: int, stop: int) -> Rows:
        """Return the mean loss over the rows from start to stop, with the same factor."""
        part = copy.copy(self)
        part.points, part.targets = self.points[start:stop], self.targets[start:stop]
        weights = self.weights[start:stop]
        part.weights, part.count = weights / weights.sum() * self.total, len(part.points)
        return part

    def value(self, theta: Tensor, constants: dict[str, Tensor]) -> Tensor:
        """Return the weighted mean loss [S] of S networks."""
        return self.by_output(theta, constants).sum(-1)

    @torch.no_grad()
    def by_output(self, theta: Tensor, constants: dict[str, Tensor]) -> Tensor:
        """Return the part of each output in the loss, [S, M], summed over chunks of rows."""
        total = theta.new_zeros(len(theta), self.targets.shape[1])
        for part in self._chunks(CHUNK_ROWS // len(theta)):
            losses = self.loss.value(self._outputs(theta, constants, self.points[part]), self.targets[part])
            total += (losses * self.weights[part]).sum(-2)
        return total

    def normal(self, theta: Tensor, constants: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the Gauss-Newton matrix [S, P, P] and the gradient [S, P], summed over chunks of rows."""
        lanes, size = theta.shape
        matrix, gradient = theta.new_zeros(lanes, size, size), theta.new_zeros(lanes, size)
        for part in self._chunks(CHUNK_BYTES // (8 * lanes * size * self.targets.shape[1])):
            jacobian, value = self._jacobian(theta, constants, self.points[part])  # [S, n, M, P], [S, n, M]
            with torch.no_grad():
                slope, curvature = self.loss.slope_and_curvature(value, self.targets[part])
                flat_jacobian = jacobian.flatten(1, 2)  # [S, n M, P]
                gradient += ((slope * self.weights[part]).flatten(1).unsqueeze(1) @ flat_jacobian).squeeze(1)
                scaled = flat_jacobian * (curvature * self.weights[part]).sqrt().flatten(1).unsqueeze(-1)
                matrix.baddbmm_(scaled.mT, scaled)
        return matrix, gradient

    def _jacobian(self, theta: Tensor, constants: dict[str, Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
        """Return df/dtheta [S, n, M, P] and f [S, n, M].

        torch.func.jacrev is up to twice as fast, but its first call imports torch's compiler, which takes seconds. If
        time is limited, each row gets its own copy of theta instead.
        """
        if not self.clock.limited or compiler_is_imported():
            with torch.no_grad():
                return self._fast_jacobian(theta, constants, x)
        leaf = theta.detach().unsqueeze(1).expand(-1, len(x), -1).requires_grad_()
        value = self._each(leaf, constants, x.unsqueeze(1))
        found = [slope_at(value[..., m].sum(), leaf, keep=True) for m in range(value.shape[-1])]
        return torch.stack(found, 2), value.detach()

    def gradient(self, theta: Tensor, constants: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the weighted mean loss [S] and its gradient [S, P], summed over chunks of rows."""
        value, gradient = theta.new_zeros(len(theta)), torch.zeros_like(theta)
        outputs = self._one if len(theta) == 1 else self._outputs  # vmap has a price in small batches
        for part in self._chunks(CHUNK_ROWS // len(theta)):
            leaf = theta.detach().requires_grad_()
            losses = self.loss.value(outputs(leaf, constants, self.points[part]), self.targets[part])
            total = (losses * self.weights[part]).sum((-2, -1))  # [S]
            gradient += slope_at(total.sum(), leaf)
            value += total.detach()
        return value, gradient

    def _chunks(self, size: int) -> Iterator[slice]:
        for start in range(0, self.count, max(1, size)):
            self.clock.check()
            yield slice(start, start + max(1, size))


def slope_at(total: Tensor, leaf: Tensor, *, keep: bool = False) -> Tensor:
    """Return d total / d leaf; 0 if total does not depend on leaf. With `keep`, the graph can be used again."""
    if not total.requires_grad:
        return torch.zeros_like(leaf)
    return torch.autograd.grad(total, leaf, materialize_grads=True, retain_graph=keep)[0]


class _Caller(nn.Module):
    """A function of a network and points, as a module, so that functional_call can replace the network's tensors."""

    def __init__(self, net: nn.Module, function: RowFunction) -> None:
        super().__init__()
        self.net, self.function = net, function

    def forward(self, x: Tensor) -> Tensor:
        value = self.function(self.net, x)
        return value if value.dim() == 2 else value.reshape(len(x), -1)
