"""Levenberg-Marquardt for several networks of one shape in parallel, each with its own damping."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Literal, Protocol

import torch
from torch import Tensor

from .clock import Clock, OutOfTimeError

TRIES = 10
"""Number of dampings that are tried for one step before a network stops."""
PATIENCE = 5
"""Number of iterations over which progress is measured."""
SHALLOW = 1e-10
"""Smallest scale of a variable, relative to the largest. Without it, a variable with almost no effect on the objective
(for example of a node that is 0 everywhere) would get a huge step."""
FLOOR = 1e-31
"""A loss below this value is rounding error, for targets of variance 1."""

Why = Literal["converged", "iterations", "time"]


class Objective(Protocol):
    """A sum of squares, or a loss with a Gauss-Newton approximation, for the networks with the indices `lanes`."""

    def value(self, theta: Tensor, lanes: Tensor) -> Tensor:
        """Return the objective [S] at theta [S, P]."""

    def normal(self, theta: Tensor, lanes: Tensor) -> tuple[Tensor, Tensor]:
        """Return a Gauss-Newton matrix [S, P, P], symmetric and positive semidefinite, and the gradient [S, P]."""


@dataclasses.dataclass
class Lanes:
    """The state of S networks: theta [S, P]; for each its objective, its damping and growth, and whether it runs."""

    theta: Tensor
    value: Tensor
    damping: Tensor
    growth: Tensor
    scale: Tensor
    active: Tensor
    iterations: int = 0

    @classmethod
    def at(cls, theta: Tensor, objective: Objective) -> Lanes:
        """Start at theta [S, P]; a network whose objective is not finite does not run."""
        count = len(theta)
        value = objective.value(theta, torch.arange(count, device=theta.device))
        value = torch.where(torch.isfinite(value), value, torch.inf)
        ones = theta.new_ones(count)
        return cls(theta.clone(), value, 1e-2 * ones, 2 * ones, torch.zeros_like(theta), torch.isfinite(value))

    def keep(self, lanes: Tensor) -> Lanes:
        """Return the state of these networks only."""
        picked = {
            f.name: getattr(self, f.name)[lanes].clone() for f in dataclasses.fields(self) if f.name != "iterations"
        }
        return Lanes(**picked, iterations=self.iterations)


def minimise(
    objective: Objective,
    lanes: Lanes,
    *,
    iterations: int,
    tolerance: float,
    largest: float | Tensor = math.inf,
    floor: float = FLOOR,
    clock: Clock,
    on_step: Callable[[Lanes], None],
) -> Why:
    """Minimise the objective of each network, in place.

    A step solves (A + damping * D) d = g in float64. D is the largest diagonal of A so far, which scales the variables.
    A step is kept if the objective falls. The damping follows the ratio of the fall to the predicted fall.

    Args:
        objective: the objective to minimise.
        lanes: the state of the networks; it is changed.
        iterations: largest number of Jacobians.
        tolerance: a network stops when its objective falls by less than this fraction in `PATIENCE` iterations.
        largest: largest size of the variables, one number or [P]; a step that exceeds it is not kept.
        clock: ends the loop at its deadline; an iteration is not begun if the last one took more time than is left.
        floor: a loss below this value is rounding error.
        on_step: called after each iteration.

    Returns:
        The reason why it ended.

    Source: Marquardt (1963); Nielsen, Damping parameter in Marquardt's method (1999).
    """
    past: list[Tensor] = [lanes.value.clone()]
    took = 0.0
    for _ in range(iterations):
        if not bool(lanes.active.any()):
            return "converged"
        if clock.lacks(took):
            return "time"
        before = clock.left()
        try:
            _step(objective, lanes, largest)
        except OutOfTimeError:
            return "time"
        took = before - clock.left() if clock.limited else 0.0
        lanes.iterations += 1
        past.append(lanes.value.clone())
        lanes.active &= lanes.value > floor
        if len(past) > PATIENCE:
            lanes.active &= lanes.value < (1 - tolerance) * past[-1 - PATIENCE]
        on_step(lanes)
    return "converged" if not bool(lanes.active.any()) else "iterations"


def _step(objective: Objective, lanes: Lanes, largest: float | Tensor) -> None:
    """Compute one Jacobian for each active network, and take the first damping with which its objective falls."""
    index = lanes.active.nonzero().squeeze(-1)
    matrix, gradient = objective.normal(lanes.theta[index], index)
    diagonal = matrix.diagonal(dim1=-2, dim2=-1)
    lanes.scale[index] = torch.maximum(lanes.scale[index], diagonal)
    root = lanes.scale[index].sqrt()
    least = SHALLOW * root.amax(-1, keepdim=True)
    inverse = 1 / torch.maximum(root, least.clamp_min(1e-150))  # [S, P]
    scaled = matrix * inverse.unsqueeze(-1) * inverse.unsqueeze(-2)
    slope = gradient * inverse
    waiting = torch.arange(len(index), device=index.device)
    for _ in range(TRIES):
        lane = index[waiting]
        step = _solve(scaled[waiting], slope[waiting], lanes.damping[lane])
        tried = lanes.theta[lane] - step * inverse[waiting]
        value = objective.value(tried, lane)
        predicted = (step * (slope[waiting] + lanes.damping[lane].unsqueeze(-1) * step)).sum(-1) / 2
        fall = lanes.value[lane] - value
        good = torch.isfinite(value) & (fall > 0) & (tried.abs() < largest).all(-1)
        won = lane[good]
        lanes.theta[won], lanes.value[won] = tried[good], value[good]
        ratio = (fall / predicted.clamp_min(1e-300))[good].clamp(0, 1)
        lanes.damping[won] = (lanes.damping[won] * (1 - (2 * ratio - 1) ** 3).clamp_min(1 / 5)).clamp_min(1e-15)
        lanes.growth[won] = 2
        lost = lane[~good]
        lanes.damping[lost] = (lanes.damping[lost] * lanes.growth[lost]).clamp_max(1e10)
        lanes.growth[lost] *= 2
        waiting = waiting[~good]
        if not len(waiting):
            return
    lanes.active[index[waiting]] = False


def _solve(matrix: Tensor, gradient: Tensor, damping: Tensor) -> Tensor:
    """Solve (A + damping I) d = g for A [S, P, P] of unit diagonal; d = 0 if the sum is not positive definite."""
    damped = matrix + damping[:, None, None] * torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
    factor, failed = torch.linalg.cholesky_ex(damped)
    step = torch.cholesky_solve(gradient.unsqueeze(-1), factor).squeeze(-1)
    return torch.where((failed == 0).unsqueeze(-1) & torch.isfinite(step), step, 0.0)
