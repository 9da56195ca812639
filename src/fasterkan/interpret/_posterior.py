"""The uncertainty of all weights of a fitted network together, from its data and residuals."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap

from ..fitting.flat import FlatNet
from ..fitting.smoothness import Smoothness
from ._walk import Step, rows_of, walk
from .uncertainty import targets_of

MOST_WEIGHTS = 3000
"""Largest number of weights; the covariance has its square as its size."""
_CHUNK = 1 << 22
"""Numbers in one chunk of Jacobians."""
_STRENGTHS = (-10.0, 4.0)
"""Decimal logarithms of the smallest and largest strength of the smoothness, in units of the data's information."""
_HALVINGS = 24
"""Number of steps of the search for the strength."""
_ROUNDING = 1e-12
"""Smaller relative numbers are rounding."""
_WIDEST = 100.0
"""Largest standard deviation of a combination of weights, in units of their root mean square."""

RowFunction = Callable[[Callable[[Tensor], Tensor], Tensor], Tensor]
"""(net, x [I]) -> any shape: a function of the network at one point."""


@dataclasses.dataclass(frozen=True)
class Posterior:
    """A normal distribution of the weights, for a network that is linear in them near their present values.

    Attributes:
        flat: the network as a function of its weights theta [P].
        theta: the present weights.
        root: a matrix [P, R] with Cov theta = root root^T.
        noise: the variance of the noise of each output, [O].
        freedom: degrees of freedom of this variance.
    """

    flat: FlatNet
    theta: Tensor
    root: Tensor
    noise: Tensor
    freedom: float

    def at(self, function: RowFunction, points: Tensor) -> tuple[Tensor, Tensor]:
        """Return the values of a function of the network at points [N, I], and their standard deviations."""
        one = _call(self.flat, function)
        values = vmap(one, (None, 0))(self.theta, points).detach()
        spread = torch.empty_like(values)
        size = max(1, values[:1].numel() * len(self.theta))
        jacobian = vmap(jacrev(one), (None, 0))
        for part in torch.arange(len(points), device="cpu").split(max(1, _CHUNK // size)):
            slopes = jacobian(self.theta, points[part]).detach()  # [n, ..., P]
            spread[part] = (slopes @ self.root).square().sum(-1).sqrt()
        return values, spread


def posterior_of(caller: str, net: nn.Module, X: Any, y: Any, *, smooth: bool) -> Posterior:
    """Return the distribution of all weights, given rows X [N, I] and targets y.

    With the Jacobian J of the outputs and the variance s^2 of the noise,

        Cov theta = (J^T J / s^2 + r S)^-1,

    where theta^T S theta is the sum over the edges of the mean f''^2, divided by the variance of the node. The strength
    r is the largest one with which the linear model fits the data as well as the network does; so a network that
    follows the noise has a small r. With smooth=False it is 0. s^2 is the mean squared residual times N / (N - g), and
    g = trace(Cov theta J^T J / s^2) counts the weights that the data determine. A combination of weights that neither
    the data nor the smoothness determines has 100 times the size of the weights as its standard deviation.

    Raises:
        TypeError, ValueError: net, X or y cannot be used, the network has too many weights, or, without smoothness, as
            many as there are numbers in y.
    """
    x = rows_of(caller, net, X)
    flat = FlatNet(net)
    if not 0 < flat.size <= MOST_WEIGHTS:
        raise ValueError(
            f"{caller}: the network has {flat.size} weights that are learned, from 1 to {MOST_WEIGHTS} are possible; "
            "prune the network first"
        )
    with torch.no_grad():
        steps = walk(flat.net, x.double())
    residual = targets_of(caller, y, steps[-1].y) - steps[-1].y  # [N, O]
    floor = (torch.finfo(x.dtype).eps * steps[-1].y.abs().amax(0)).square() + torch.finfo(torch.float64).tiny
    unit = torch.maximum(residual.square().mean(0), floor)  # [O]
    theta = flat.theta([net])[0]
    model = _Linear(flat, theta, x.double(), residual, unit)
    bending = _bending(flat, net, steps) if smooth else None
    information, freedom = model.solved(bending)
    if freedom < 1:
        raise ValueError(
            f"{caller}: the network has {flat.size} weights and y has {residual.numel()} numbers, so no error is left "
            "to tell the noise; give more rows, or prune the network first"
            + ("" if smooth else ", or keep smooth=True, which lets the weights count less")
        )
    factor = model.error / (freedom * len(unit))
    values, vectors = torch.linalg.eigh(information)
    deviations = (factor / values.clamp_min(torch.finfo(torch.float64).tiny)).sqrt().clamp_max(_WIDEST)
    root = model.sizes.unsqueeze(1) * vectors * deviations
    return Posterior(flat, theta, root, factor * unit, freedom)


class _Linear:
    """The network as a linear function of its weights, divided by their sizes."""

    def __init__(self, flat: FlatNet, theta: Tensor, x: Tensor, residual: Tensor, unit: Tensor) -> None:
        self.sizes = _sizes(flat, theta)
        self.theta = theta / self.sizes
        self.numbers, self.outputs = residual.numel(), residual.shape[1]
        scaled = residual / unit.sqrt()
        self.error = float(scaled.square().sum())
        count = len(theta)
        self.normal = torch.zeros(count, count, dtype=torch.float64, device=x.device)
        self.slope = torch.zeros(count, dtype=torch.float64, device=x.device)
        jacobian = vmap(jacrev(_call(flat, lambda net, point: net(point))), (None, 0))
        for part in torch.arange(len(x), device="cpu").split(max(1, _CHUNK // (count * self.outputs))):
            slopes = jacobian(theta, x[part]).detach() / unit.sqrt().unsqueeze(1) * self.sizes  # [n, O, P]
            flat_slopes = slopes.flatten(0, 1)
            self.normal += flat_slopes.t() @ flat_slopes
            self.slope += flat_slopes.t() @ scaled[part].flatten()

    def solved(self, bending: Tensor | None) -> tuple[Tensor, float]:
        """Return the information matrix, and the degrees of freedom of each output."""
        if bending is None or not bool(bending.any()):
            determined = float(torch.linalg.matrix_rank(self.normal, hermitian=True))
            return self.normal, (self.numbers - determined) / self.outputs
        scaled = bending * self.sizes * self.sizes.unsqueeze(1)
        scaled = scaled * (self.normal.trace() / scaled.trace())
        path = _Path(self.normal, scaled, self.slope, scaled @ self.theta)
        low, high = _STRENGTHS
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            if path.gain(10**middle) > _ROUNDING * self.error:
                low = middle
            else:
                high = middle
        return self.normal + 10**low * scaled, (self.numbers - path.determined(10**low)) / self.outputs


class _Path:
    """The linear model for all strengths r: in the basis W, W^T A W = diag(m) and W^T S W = 1 - diag(m).

    Args:
        normal: A [P, P], the information of the data.
        bending: S [P, P], of equal size.
        slope: half of the slope of the squared error, with opposite sign, [P].
        pull: S theta [P].
    """

    def __init__(self, normal: Tensor, bending: Tensor, slope: Tensor, pull: Tensor) -> None:
        values, vectors = torch.linalg.eigh(normal + bending)
        kept = values > _ROUNDING * values[-1]
        whitened = vectors[:, kept] * values[kept].rsqrt()
        share, turned = torch.linalg.eigh(whitened.t() @ normal @ whitened)
        self.share = torch.where(share > _ROUNDING, share, 0).clamp_max(1)  # m [R]
        basis = whitened @ turned
        self.slope, self.pull = basis.t() @ slope, basis.t() @ pull

    def _information(self, strength: float) -> Tensor:
        return self.share + strength * (1 - self.share)

    def determined(self, strength: float) -> float:
        """Return the number of weights that the data determine."""
        return float((self.share / self._information(strength)).sum())

    def gain(self, strength: float) -> float:
        """Return by how much the squared error of the linear model is below that of the network."""
        step = (self.slope - strength * self.pull) / self._information(strength)
        return float((2 * step * self.slope - self.share * step.square()).sum())


def _call(flat: FlatNet, function: RowFunction) -> Callable[[Tensor, Tensor], Tensor]:
    """(theta, x [I]) -> the function of the network at one point."""
    constants = {name: tensor[0] for name, tensor in flat.constants([flat.net]).items()}

    def one(theta: Tensor, point: Tensor) -> Tensor:
        tensors = {**flat.unflatten(theta), **constants}
        return function(lambda x: functional_call(flat.net, tensors, (x.unsqueeze(0),)).squeeze(0), point)

    return one


def _sizes(flat: FlatNet, theta: Tensor) -> Tensor:
    """The root mean square of each parameter, for each of its numbers, [P]; 1 where all are 0."""
    parts = [part.square().mean().sqrt().expand(len(part)) for part in theta.split(flat.sizes)]
    sizes = torch.cat(parts)
    return torch.where(sizes > 0, sizes, 1)


def _bending(flat: FlatNet, net: nn.Module, steps: list[Step]) -> Tensor:
    """The quadratic form [P, P] of the mean f''^2 of all edges, each divided by the variance [O] of its node."""
    found = torch.zeros(flat.size, flat.size, dtype=torch.float64, device=steps[0].y.device)
    names = {id(parameter): name for name, parameter in flat.net.named_parameters()}
    variances = {names[id(step.layer.weight)]: step.y.var(0, correction=0) for step in steps}
    smooth = Smoothness(flat, [net], torch.ones(1, dtype=torch.float64, device=found.device))
    starts = {flat.start_of(name): variance for name, variance in variances.items()}
    for place, form in smooth.blocks:  # [O, I, K], [1, I, K, K]
        variance = starts[int(place[0, 0, 0])]
        scale = torch.where(variance > 0, 1 / variance, 0).view(-1, 1, 1, 1)
        found[place.unsqueeze(-1), place.unsqueeze(-2)] += scale * form.to(found)
    return found
