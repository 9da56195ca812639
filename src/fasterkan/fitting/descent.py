"""Adam on batches of rows, for tables of which a second-order method can use too few rows in its time."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import torch
from torch import Tensor

from .clock import Clock, OutOfTimeError
from .objective import Misfit, Penalised

BATCH = 512
RATES = (0.03, 0.01)
"""Largest learning rates of the first and of the second network that compete."""
LAST_RATE = 0.003
"""Largest learning rate of a network that was fitted before."""
MOMENTS = (0.9, 0.99)
WARM = 0.05
"""Share of the time in which the learning rate grows from 0; then it falls along a cosine."""
TRIAL = 0.2
"""Share of the time after which the better network goes on alone."""
MANY = 1000
"""Two networks compete if there is time for this many batches."""
TINY = 1e-12


@dataclasses.dataclass
class Descent:
    """The state of Adam for networks theta [S, P] with learning rates [S].

    torch.optim.Adam computes the same, but making the first one imports torch's compiler. That takes seconds, and Adam
    is used here when seconds are few.
    """

    theta: Tensor
    rates: Tensor
    steps: int = 0

    def __post_init__(self) -> None:
        self.mean, self.square = torch.zeros_like(self.theta), torch.zeros_like(self.theta)

    def step(self, gradient: Tensor, share: float) -> None:
        """Take one step; share is the part of the time that has passed, 0 to 1."""
        self.steps += 1
        first, second = MOMENTS
        self.mean.lerp_(gradient, 1 - first)
        self.square.lerp_(gradient.square(), 1 - second)
        rate = self.rates * min(1.0, (share + 1e-3) / WARM) * (1 + math.cos(math.pi * min(share, 1.0))) / 2
        size = (self.square / (1 - second**self.steps)).sqrt() + TINY
        self.theta = self.theta - rate.unsqueeze(-1) * (self.mean / (1 - first**self.steps)) / size

    def keep(self, lanes: Tensor) -> None:
        """Continue with these networks only."""
        self.theta, self.rates = self.theta[lanes], self.rates[lanes]
        self.mean, self.square = self.mean[lanes], self.square[lanes]


def descend(
    objective: Penalised,
    state: Descent,
    misfit: Misfit,
    *,
    clock: Clock,
    passes: int,
    choose: Callable[[Tensor], int],
    on_step: Callable[[int, float], None],
) -> None:
    """Follow the gradient of batches of rows until the deadline, or for so many passes over the rows.

    Source: Kingma and Ba, Adam (arXiv 1412.6980); cosine schedule of Loshchilov and Hutter (arXiv 1608.03983).

    Args:
        objective: the misfit of all rows and the penalties.
        state: the networks; it is changed. Of several networks the better one is kept after `TRIAL` of the time.
        misfit: all rows, in random order.
        clock: gives the deadline.
        passes: most passes over the rows.
        choose: theta [S, P] -> the number of the best network.
        on_step: called after each step with the loss of its batches, averaged over the last ones.
    """
    start, most = clock.left(), passes * math.ceil(misfit.count / BATCH)
    lanes, at, loss = torch.arange(len(state.theta), device=state.theta.device), 0, 0.0
    while state.steps < most:
        share = max(1 - clock.left() / start, state.steps / most) if start > 0 else 1.0
        if share >= 1:
            return
        if len(lanes) > 1 and share > TRIAL:
            best = choose(state.theta)
            state.keep(lanes[best : best + 1])
            objective.keep(lanes[best : best + 1])
            lanes = lanes[:1]
        stop = at + BATCH if misfit.count - at >= 1.5 * BATCH else misfit.count
        try:
            value, gradient = objective.over(misfit.between(at, stop)).gradient(state.theta, lanes)
        except OutOfTimeError:
            return
        state.step(gradient, share)
        at = stop % misfit.count
        now = float(value.min())
        loss = now if state.steps == 1 else loss + 0.05 * (now - loss)
        on_step(state.steps, loss)
