"""L-BFGS for one network, for cases where the matrix of Levenberg-Marquardt would be too large."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from .clock import Clock, OutOfTimeError
from .levenberg_marquardt import FLOOR, PATIENCE, Why


def minimise_by_gradient(
    objective: Callable[[Tensor], tuple[Tensor, Tensor]],
    theta: Tensor,
    *,
    iterations: int,
    tolerance: float,
    floor: float = FLOOR,
    clock: Clock,
    on_step: Callable[[int, float], None],
) -> tuple[Tensor, Why, int]:
    """Return theta [P] with a smaller objective, why the optimisation ended, and the number of iterations.

    Args:
        objective: theta [P] -> (value [1], gradient [1, P]).
        theta: the start; it is not changed.
        iterations: most iterations of L-BFGS, each with about one gradient.
        tolerance: the optimisation ends when the objective falls by less than this fraction in `PATIENCE` iterations.
        clock: ends the optimisation at its deadline.
        floor: a loss below this value is rounding error.
        on_step: called after each iteration.

    Source: torch.optim.LBFGS, a maintained optimiser, with its strong Wolfe line search and 50 pairs.
    """
    at = theta.clone().requires_grad_()
    # Its line search has max_eval - 1 evaluations, by default none; then a step that is too long ends at t = 0.
    optimizer = torch.optim.LBFGS(
        [at], max_iter=1, max_eval=25, history_size=50, line_search_fn="strong_wolfe", tolerance_grad=0
    )
    best, best_value, past = theta.clone(), math.inf, []

    def closure() -> Tensor:
        value, gradient = objective(at.detach())
        at.grad = gradient.squeeze(0)
        return value.squeeze(0)

    for iteration in range(1, iterations + 1):
        try:
            clock.check()
            optimizer.step(closure)
            value = float(objective(at.detach())[0])
        except OutOfTimeError:
            return best, "time", iteration - 1
        if value < best_value:
            best, best_value = at.detach().clone(), value
        past.append(best_value)
        on_step(iteration, best_value)
        stuck = len(past) > PATIENCE and not best_value < (1 - tolerance) * past[-1 - PATIENCE]
        if stuck or best_value < floor or not math.isfinite(value):
            return best, "converged", iteration
    return best, "iterations", iterations
