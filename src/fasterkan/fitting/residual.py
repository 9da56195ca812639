"""Equations instead of a table: for example the residual of a differential equation, as a function of the network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, jvp, vmap

from .._check import positive_number
from .._device import exact, exact_device
from .clock import Clock
from .flat import FlatNet
from .losses import Loss
from .objective import Constants, Misfit, Sum
from .rows import RowFunction, Rows, slope_at
from .table import ends, points_of

Whole = Callable[[nn.Module], Tensor]
"""net -> residuals of any shape; the net is a float64 copy of the network that is fitted."""
Equations = Whole | Sequence[Sequence[Any]]
"""A function of the net, or a list of (fn, points) or (fn, points, weight) with fn(net, x [n, I]) -> [n] or [n, M]."""

TANGENTS = 32
"""Number of parameters per batch when the residual is differentiated as a whole."""


class Residual:
    """mean loss(r) of the vector r = function(net), for one network after the other.

    The Jacobian is computed by forward mode (`torch.func.jvp`), `TANGENTS` parameters at a time. If the function uses
    `torch.autograd.grad`, which does not work in forward mode, it is computed by reverse mode, `TANGENTS` rows at a
    time.

    Args:
        flat: the network's shape.
        function: computes r from the net.
        loss: the loss of each element of r.
        clock: checked before each part of the computation; it may end it.
    """

    count = 1
    share = 1.0

    def __init__(self, flat: FlatNet, function: Whole, loss: Loss, clock: Clock | None = None) -> None:
        self.flat, self.loss, self.clock = flat, loss, Clock() if clock is None else clock
        self.caller = _WholeCaller(flat.net, function)
        self.forward_mode = True

    def between(self, start: int, stop: int) -> Residual:
        """Return the same loss: it has no rows that could be left out."""
        return self

    def _vector(self, theta: Tensor, constants: Constants) -> Tensor:
        tensors = {f"net.{k}": t for k, t in {**self.flat.unflatten(theta), **constants}.items()}
        return functional_call(self.caller, tensors, ())

    def value(self, theta: Tensor, constants: Constants) -> Tensor:
        """Return the mean loss [S]."""
        found = []
        for s, row in enumerate(theta):
            self.clock.check()
            residual = self._vector(row.detach(), _one(constants, s)).detach()
            found.append(self.loss.value(residual, torch.zeros_like(residual)).mean())
        return torch.stack(found)

    def by_output(self, theta: Tensor, constants: Constants) -> Tensor:
        """Return the mean loss as [S, 1]."""
        return self.value(theta, constants).unsqueeze(-1)

    def normal(self, theta: Tensor, constants: Constants) -> tuple[Tensor, Tensor]:
        """Return the Gauss-Newton matrix [S, P, P] and the gradient [S, P]."""
        matrices, gradients = [], []
        for s, row in enumerate(theta):
            jacobian, residual = self._jacobian(row.detach(), _one(constants, s))  # [M, P], [M]
            slope, curvature = self.loss.slope_and_curvature(residual, torch.zeros_like(residual))
            scaled = jacobian * (curvature / len(residual)).sqrt().unsqueeze(-1)
            matrices.append(scaled.mT @ scaled)
            gradients.append(slope @ jacobian / len(residual))
        return torch.stack(matrices), torch.stack(gradients)

    def gradient(self, theta: Tensor, constants: Constants) -> tuple[Tensor, Tensor]:
        """Return the mean loss [S] and its gradient [S, P]."""
        values, gradients = [], []
        for s, row in enumerate(theta):
            self.clock.check()
            leaf = row.detach().requires_grad_()
            residual = self._vector(leaf, _one(constants, s))
            value = self.loss.value(residual, torch.zeros_like(residual)).mean()
            gradients.append(slope_at(value, leaf))
            values.append(value.detach())
        return torch.stack(values), torch.stack(gradients)

    def _jacobian(self, theta: Tensor, constants: Constants) -> tuple[Tensor, Tensor]:
        if self.forward_mode:
            try:
                return self._forward(theta, constants)
            except RuntimeError:  # functorch raises it for autograd.grad and requires_grad_
                self.forward_mode = False
        return self._reverse(theta, constants)

    def _forward(self, theta: Tensor, constants: Constants) -> tuple[Tensor, Tensor]:
        def along(direction: Tensor) -> Tensor:
            return jvp(lambda at: self._vector(at, constants), (theta,), (direction,))[1]

        columns = []
        for part in torch.eye(len(theta), dtype=theta.dtype, device=theta.device).split(TANGENTS):
            self.clock.check()
            columns.append(vmap(along)(part).detach())
        return torch.cat(columns).mT, self._vector(theta, constants).detach()

    def _reverse(self, theta: Tensor, constants: Constants) -> tuple[Tensor, Tensor]:
        leaf = theta.clone().requires_grad_()
        residual = self._vector(leaf, constants)
        if not residual.requires_grad:
            return residual.new_zeros(len(residual), len(leaf)), residual
        rows = torch.eye(len(residual), dtype=residual.dtype, device=residual.device)
        found: list[Tensor | None] = []
        for part in rows.split(TANGENTS):
            self.clock.check()
            found += torch.autograd.grad(
                residual, leaf, part, retain_graph=True, is_grads_batched=True, allow_unused=True
            )
        used = [part for part in found if part is not None]  # either all parts or none
        return torch.cat(used) if used else leaf.new_zeros(len(residual), len(leaf)), residual.detach()


class _WholeCaller(nn.Module):
    def __init__(self, net: nn.Module, function: Whole) -> None:
        super().__init__()
        self.net, self.function = net, function

    def forward(self) -> Tensor:
        with torch.enable_grad():
            residual: Any = self.function(self.net)
        if not isinstance(residual, Tensor) or not residual.numel():
            raise TypeError(f"fit: the residual must be a tensor with at least one number, got {residual!r}")
        return exact(residual.reshape(-1))


def misfit_of(
    net: nn.Module, equations: Equations, loss: Loss, clock: Clock
) -> tuple[Callable[[FlatNet], Misfit], Tensor | None]:
    """Return a function that makes the misfit for a shape of network, and the points of the equations or None.

    Raises:
        TypeError, ValueError: the equations are not such a function or list, or points cannot be used.
    """
    if callable(equations):
        function = equations
        return (lambda flat: Residual(flat, function, loss, clock)), None
    device = exact_device(next(net.parameters()).device)
    given: Any = equations
    if not isinstance(given, tuple | list) or not all(isinstance(term, tuple | list) for term in given):
        raise TypeError(
            "fit: residual must be a function fn(net), or a list of (fn, points) or (fn, points, weight) with "
            f"fn(net, x), got {given!r}"
        )
    terms = [_term(i, term, device) for i, term in enumerate(given)]
    if clock.limited:  # parts of the points are then spread over all of them
        generator = torch.Generator("cpu").manual_seed(0)
        orders = [torch.randperm(len(points), generator=generator, device="cpu") for _, points, _ in terms]
        terms = [(fn, points[order], weight) for (fn, points, weight), order in zip(terms, orders, strict=True)]
    if not terms:
        raise ValueError("fit: residual is an empty list; give fn(net), or pairs (fn, points)")

    def build(flat: FlatNet) -> Misfit:
        return Sum([_rows(flat, *term, loss, clock) for term in terms])

    return build, _inputs(net, [points for _, points, _ in terms])


def _term(i: int, term: Any, device: torch.device) -> tuple[RowFunction, Tensor, float]:
    if len(term) not in (2, 3) or not callable(term[0]):
        raise TypeError(
            f"fit: residual[{i}] must be (fn, points) or (fn, points, weight) with fn(net, x), got {term!r}; or give "
            "one function fn(net) instead of the list"
        )
    weight = 1.0 if len(term) == 2 else positive_number("fit", f"residual[{i}] weight", term[2])
    return term[0], points_of(f"residual[{i}] points", term[1], device), weight


def _inputs(net: nn.Module, points: list[Tensor]) -> Tensor | None:
    """The points that have the width of the network's inputs, which set its norms; None if there are none."""
    widths = ends(net)
    columns = points[0].shape[1] if widths is None else widths[0]
    if widths is None and any(p.shape[1] != columns for p in points):
        return None
    rows = [p for p in points if p.shape[1] == columns]
    return torch.cat(rows) if rows else None


def _rows(flat: FlatNet, function: RowFunction, points: Tensor, weight: float, loss: Loss, clock: Clock) -> Rows:
    """The misfit of one term: the mean over its points, times its weight."""
    few = points[:2]
    found: Any = function(flat.net, few)
    if not isinstance(found, Tensor) or (len(few) > 1 and (not found.dim() or len(found) != len(few))):
        got = f"of shape {tuple(found.shape)}" if isinstance(found, Tensor) else repr(found)
        raise TypeError(
            f"fit: a function of residual=[(fn, points), ...] must return [n] or [n, M] for n points, a row for each "
            f"of them, unsummed; for {len(few)} points it returned one {got}"
        )
    targets = torch.zeros(len(points), found.numel() // len(few), dtype=torch.float64, device=points.device)
    return Rows(flat, function, points, targets, torch.ones_like(points[:, 0]), loss, weight, clock)


def _one(constants: Constants, s: int) -> Constants:
    return {name: tensor[s] for name, tensor in constants.items()}
