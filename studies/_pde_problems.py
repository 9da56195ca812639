"""Three boundary value problems with known solutions: residuals, collocation points, and forms that hold the borders.

All take points x [n, 2] in float64 and differentiate with `torch.func`, as the rows of `fk.fit(residual=...)` ask.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.func import jvp, vmap

Function = Callable[[Tensor], Tensor]
"""x [n, 2] -> u [n, 1]; a network is one."""
VISCOSITY = 0.01 / math.pi


def laplacian(u: Function, x: Tensor) -> Tensor:
    """Return u_xx + u_yy [n], the second derivatives along both axes side by side."""

    def along(axis: Tensor) -> Tensor:
        direction = axis.expand_as(x)
        return jvp(lambda a: jvp(u, (a,), (direction,))[1], (x,), (direction,))[1]

    return vmap(along)(torch.eye(2, dtype=x.dtype))[..., 0].sum(0)


def waves(a: int, b: int, x: Tensor) -> Tensor:
    """Return sin(a pi x) sin(b pi y) [n]."""
    return torch.sin(a * math.pi * x[:, 0]) * torch.sin(b * math.pi * x[:, 1])


def poisson(u: Function, x: Tensor) -> Tensor:
    """Return u_xx + u_yy + 2 pi^2 sin(pi x) sin(pi y)."""
    return laplacian(u, x) + 2 * math.pi**2 * waves(1, 1, x)


def helmholtz(u: Function, x: Tensor) -> Tensor:
    """Return u_xx + u_yy + u - (1 - 17 pi^2) sin(pi x) sin(4 pi y)."""
    return laplacian(u, x) + u(x)[:, 0] - (1 - 17 * math.pi**2) * waves(1, 4, x)


def burgers(u: Function, x: Tensor, viscosity: float = VISCOSITY) -> Tensor:
    """Return u_t + u u_x - viscosity u_xx, the columns being x and t."""
    along_x, along_t = torch.eye(2, dtype=x.dtype).unsqueeze(1)
    (value, slope), (_, bend) = jvp(
        lambda a: jvp(u, (a,), (along_x.expand_as(a),)), (x,), (along_x.expand_as(x),)
    )  # fmt: skip
    change = jvp(u, (x,), (along_t.expand_as(x),))[1]
    return (change + value * slope - viscosity * bend)[:, 0]


def burgers_solution(x: Tensor, nodes: int = 128) -> Tensor:
    """Return Burgers' u [n] by the Cole-Hopf integral with Gauss-Hermite quadrature; -sin(pi x) where t = 0.

    u = -E[sin(pi y) f(y)] / E[f(y)], y ~ N(x, 2 nu t), f(y) = exp(-cos(pi y) / (2 pi nu)).

    Source: Cole (1951), Hopf (1950).
    """
    points, weights = (torch.from_numpy(a) for a in np.polynomial.hermite.hermgauss(nodes))
    place, time = x[:, :1], x[:, 1:]
    y = place - 2 * (VISCOSITY * time.clamp_min(1e-300)).sqrt() * points  # [n, nodes]
    share = torch.softmax(weights.log() - torch.cos(math.pi * y) / (2 * math.pi * VISCOSITY), -1)
    return -(share * torch.sin(math.pi * y)).sum(-1)


def square(n: int, low: tuple[float, float], high: tuple[float, float]) -> Tensor:
    """Return an even grid of n x n points, borders included, [n^2, 2]."""
    axes = [torch.linspace(a, b, n, dtype=torch.float64) for a, b in zip(low, high, strict=True)]
    return torch.cartesian_prod(*axes)


@dataclasses.dataclass(frozen=True)
class Problem:
    """An equation on a rectangle, the values on a part of its border, and the solution."""

    name: str
    equation: Callable[[Function, Tensor], Tensor]
    """(u, x) -> residual [n]."""
    solution: Callable[[Tensor], Tensor]
    """x -> u [n]."""
    built_in: Callable[[Function], Function]
    """A network -> a function of it that has the values of the border whatever the network is."""
    low: tuple[float, float] = (-1.0, -1.0)
    high: tuple[float, float] = (1.0, 1.0)
    symmetry: Callable[[Function], Function] = lambda net: net
    """A network -> a function of it with the symmetry that the solution is known to have."""
    weight: float = 1.0
    """Of the border: near the square of the size of the equation's terms over that of u."""
    open_end: bool = False
    """Nothing is known where the second column is largest: it is time."""

    def made_easier(self, factor: float) -> Problem:
        """Return the problem with `factor` times the viscosity; those without one as they are."""
        if not self.open_end or factor == 1:
            return self
        return dataclasses.replace(self, equation=lambda u, x: burgers(u, x, factor * VISCOSITY))

    def border(self, u: Function, x: Tensor) -> Tensor:
        """Return u - solution [n] for points x of the border."""
        return u(x)[:, 0] - self.solution(x)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the points where the equation holds, and those of the border where u is known."""
        low, high = torch.tensor(self.low).double(), torch.tensor(self.high).double()
        on = ((x == low) | (x == high)).any(-1)
        if self.open_end:
            on = (x[:, 0] == low[0]) | (x[:, 0] == high[0]) | (x[:, 1] == low[1])
        return x[~on], x[on]

    def terms(self, x: Tensor, *, built_in: bool = False) -> list[tuple[Any, ...]]:
        """Return what `fk.fit(residual=...)` takes, for collocation points x."""
        inside, border = self.split(x)
        if built_in:
            return [(lambda net, x: self.equation(self.built_in(net), x), inside)]
        return [
            (lambda net, x: self.equation(self.symmetry(net), x), inside),
            (lambda net, x: self.border(self.symmetry(net), x), border, self.weight),
        ]

    def error(self, u: Function, n: int = 257) -> float:
        """Return |u - solution|_2 / |solution|_2 on a finer grid than any that is fitted."""
        x = square(n, self.low, self.high)
        with torch.no_grad():
            exact = self.solution(x)
            return float((u(x)[:, 0] - exact).norm() / exact.norm())


def _zero_border(net: Function) -> Function:
    return lambda x: (1 - x[:, :1] ** 2) * (1 - x[:, 1:] ** 2) * net(x)


def _odd(net: Function) -> Function:
    return lambda x: (net(x) - net(x * x.new_tensor([-1.0, 1.0]))) / 2


def _from_start(net: Function) -> Function:
    return lambda x: x[:, 1:] * (1 - x[:, :1] ** 2) * _odd(net)(x) - torch.sin(math.pi * x[:, :1])


PROBLEMS = {
    p.name: p
    for p in (
        Problem("poisson", poisson, lambda x: waves(1, 1, x), _zero_border, weight=100.0),
        Problem("helmholtz", helmholtz, lambda x: waves(1, 4, x), _zero_border, weight=1e4),
        Problem(
            "burgers",
            burgers,
            burgers_solution,
            _from_start,
            low=(-1.0, 0.0),
            symmetry=_odd,
            weight=10.0,
            open_end=True,
        ),
    )
}
