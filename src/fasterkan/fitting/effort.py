"""How much of a phase can be afforded: the method, and the numbers of networks and of rows, by measured costs."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from . import clock as clocks
from .clock import Clock
from .objective import Constants, Misfit

Method = Literal["Levenberg-Marquardt", "L-BFGS", "Adam"]

MOST_PARAMETERS = 3000
"""Largest number of parameters for Levenberg-Marquardt. Its matrix then has 72 MB, and a step takes about a second on
one core (P^3 / 3 for the solution, N P^2 for the matrix of N rows). Above it L-BFGS is used; its step costs one
gradient."""
ROWS = 4000
ROWS_PER_PARAMETER = 8
"""A phase before the last one uses at most this many rows, or this many for each parameter; more rows hardly change
its choice. The rows of the last phases grow to all."""
LEAST_ROWS = 500
LEAST_PER_PARAMETER = 4
"""A second-order phase with fewer rows would fit the noise of its rows. Then Adam is used if time is short."""
MEASURED = 10_000
"""Largest number of rows on which networks are compared."""
PILOTS = (1, 8, 64, 512)
"""Numbers of rows on which costs are measured, one after the other. In a few rows the cost of a call outweighs that of
the rows."""
CALL = 4
"""The cost of the first row, compared with that of the next ones, of which it is not known yet."""
LITTLE = 0.02
"""Largest share of the time limit that the next number of rows may take."""
SOLVED = 256
"""Size of the matrix on which the cost of a solution is measured."""
TRIES = 1.5
"""Mean number of dampings that a step of Levenberg-Marquardt tries."""
EVALUATIONS = 2.5
"""Mean number of gradients in a step of L-BFGS, its value included."""
STEPS = 16
"""Number of steps for which a phase that is short of time should have enough time at its end."""


@dataclasses.dataclass(frozen=True)
class Costs:
    """Seconds for one row and one network, and for one solution, of networks of one shape."""

    value: float
    step: float
    solution: float

    @classmethod
    def measure(cls, misfit: Misfit, theta: Tensor, constants: Constants, method: Method, limit: float) -> Costs:
        """Measure the costs with the first network of theta [S, P]; limit is the time limit of the fit in seconds."""
        one, first = theta[:1], {name: tensor[:1] for name, tensor in constants.items()}

        def each(run: Callable[[Misfit], object]) -> float:
            seconds = count = slope = 0.0
            for rows in PILOTS:
                if count and (count == misfit.count or seconds + slope * (rows - count) > LITTLE * limit):
                    break
                few = misfit.between(0, min(misfit.count, rows))
                if few.count == count:  # equations may have parts of their own
                    break
                before, seconds = seconds, _seconds(functools.partial(run, few))
                slope = max(0.0, seconds - before) / (few.count - count) / (1 if count else CALL)
                count = few.count
            return max(seconds / count, 1e-12)

        value = each(lambda few: few.value(one, first))
        if method == "L-BFGS":
            return cls(value, EVALUATIONS * each(lambda few: few.gradient(one, first)), 0.0)
        step = each(lambda few: few.normal(one, first)) + TRIES * value
        size = min(theta.shape[1], SOLVED)
        matrix = torch.eye(size, dtype=theta.dtype, device=theta.device)
        solution = TRIES * _seconds(lambda: torch.linalg.cholesky_ex(matrix)) * (theta.shape[1] / size) ** 3
        return cls(value, step, solution)

    def steps(self, seconds: float, rows: int) -> float:
        """Return the number of steps of one network that fit into a time."""
        return seconds / (rows * self.step + self.solution)

    def rows(self, seconds: float, steps: float) -> float:
        """Return the number of rows with which so many steps of one network fit into a time."""
        return (seconds / steps - self.solution) / self.step


def _seconds(run: Callable[[], object]) -> float:
    """The time of a second call; the first one prepares."""
    run()
    start = clocks.now()
    run()
    return clocks.now() - start


@dataclasses.dataclass(frozen=True)
class Effort:
    """What a phase does."""

    method: Method
    networks: int
    rows: int
    reduced: bool
    """Whether it would do more with more time."""
    halving: tuple[int, ...] = ()
    """Numbers of iterations after which the worse half of the networks is dropped."""


def method_for(parameters: int) -> Method:
    """Return the method if time does not matter."""
    return "L-BFGS" if parameters > MOST_PARAMETERS else "Levenberg-Marquardt"


def enough_rows(misfit: Misfit, parameters: int) -> int:
    """Return the number of rows that a phase before the last one uses."""
    return min(misfit.count, max(ROWS, math.ceil(ROWS_PER_PARAMETER * parameters / misfit.share)))


def least_rows(misfit: Misfit, parameters: int) -> int:
    """Return the smallest number of rows for a second-order method."""
    return min(misfit.count, max(LEAST_ROWS, math.ceil(LEAST_PER_PARAMETER * parameters / misfit.share)))


def affordable(
    clock: Clock,
    costs: Costs,
    misfit: Misfit,
    parameters: int,
    networks: int,
    halving: Sequence[int],
    *,
    least: int = 1,
    steps: int = STEPS,
) -> Effort | None:
    """Return the most that a second-order phase can do before its deadline; None if it is not worth while.

    First rows are left out, then steps, then networks.

    Args:
        clock: the clock of the fit.
        costs: the costs of networks of this shape.
        misfit: all rows of the phase.
        parameters: number of parameters of a network.
        networks: number of networks that compete.
        halving: numbers of iterations after which the worse half is dropped.
        least: smallest number of networks that is worth while; with all rows, one is enough.
        steps: number of steps after the last halving.
    """
    method, most = method_for(parameters), enough_rows(misfit, parameters)
    fewest = least_rows(misfit, parameters)
    count = networks
    while True:
        for share in (1, 2):
            rungs = () if method == "L-BFGS" else tuple(rung // share for rung in halving)
            needed = network_steps(count, rungs, steps // share)
            rows = min(most, int(max(0.0, min(most, costs.rows(clock.left(), needed)))))
            if rows >= fewest and (count >= min(least, networks) or rows == misfit.count):
                return Effort(method, count, rows, count < networks or rows < most or share > 1, rungs)
        if count == 1:
            return None
        count = (count + 1) // 2


def network_steps(networks: int, halving: Sequence[int], last: int) -> int:
    """Return the number of steps of all networks together, if half of them is dropped after each of `halving`."""
    total = 0
    for rung in halving:
        total += networks * rung if networks > 1 else 0
        networks = (networks + 1) // 2
    return total + networks * last
