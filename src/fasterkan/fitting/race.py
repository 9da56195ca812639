"""Networks of one shape that are fitted together; the worse ones are dropped by their error on held-out rows."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .candidates import Candidate, Task
from .clock import Clock
from .descent import BATCH, Descent, descend
from .effort import MEASURED, Effort
from .flat import FlatNet
from .lbfgs import minimise_by_gradient
from .levenberg_marquardt import FLOOR, Lanes, Why, minimise
from .objective import Misfit, Penalised


@dataclasses.dataclass(frozen=True)
class Limits:
    """The limits that end a phase."""

    iterations: int
    tolerance: float
    clock: Clock
    on_step: Callable[[int, float], None]
    floor: float = FLOOR
    """A loss below this value is rounding error."""
    measured: int = MEASURED
    """Largest number of rows on which networks are compared."""


def fit_side_by_side(
    candidates: Sequence[Candidate],
    flat: FlatNet,
    misfit: Misfit,
    task: Task,
    limits: Limits,
    effort: Effort,
    *,
    rates: Sequence[float] = (),
) -> tuple[list[Candidate], Why, int]:
    """Fit candidates of one shape together; return them with the best first, why the fit ended, and the iterations.

    Args:
        candidates: the networks; they are changed.
        flat: their shape.
        misfit: all rows of the task for this shape.
        task: the problem to fit.
        limits: the limits that end the fit.
        effort: the method, the number of rows, and when the worse half is dropped.
        rates: the learning rates of the networks for Adam.
    """
    nets = [c.net for c in candidates]
    theta = flat.theta(nets)
    strength = theta.new_tensor([c.smoothness for c in candidates])
    rows = misfit.between(0, effort.rows)
    objective = Penalised(rows, flat, nets, strength, task.sparsity)
    race = _Race(flat, objective, rows, None if task.held_out is None else task.held_out(flat), limits)
    if effort.method == "Adam":
        for candidate in candidates:
            candidate.method = "Adam"
        return race.by_batches(list(candidates), theta, rates)
    for candidate in candidates:
        candidate.rows, candidate.method = rows.count, effort.method
    if effort.method == "L-BFGS":
        return race.by_gradient(list(candidates), theta)
    return race.by_matrix(list(candidates), theta, effort.halving)


class _Race:
    """Networks of one shape that compete.

    Args:
        flat: their shape.
        objective: what they minimise.
        rows: its misfit.
        held_out: the misfit that decides, or None.
        limits: the limits that end the race.
    """

    def __init__(
        self, flat: FlatNet, objective: Penalised, rows: Misfit, held_out: Misfit | None, limits: Limits
    ) -> None:
        self.flat, self.objective, self.rows, self.limits = flat, objective, rows, limits
        self.seen = rows.between(0, min(rows.count, limits.measured))
        self.held_out = None if held_out is None else held_out.between(0, min(held_out.count, limits.measured))

    def by_matrix(
        self, left: list[Candidate], theta: Tensor, halving: Sequence[int]
    ) -> tuple[list[Candidate], Why, int]:
        """Levenberg-Marquardt for all networks at once; the worse half is dropped after each rung."""
        limits = self.limits
        with limits.clock.stopped():
            lanes = Lanes.at(theta, self.objective)
        done: list[Candidate] = []
        why: Why = "iterations"
        for rung in (*halving, limits.iterations):
            if len(left) == 1:
                rung = limits.iterations
            why = minimise(
                self.objective,
                lanes,
                iterations=min(rung, limits.iterations - lanes.iterations),
                tolerance=limits.tolerance,
                largest=self.flat.largest,
                floor=limits.floor,
                clock=limits.clock,
                on_step=lambda state: limits.on_step(state.iterations, float(state.value.min())),
            )
            self._measure(left, lanes.theta)
            if why == "time" or rung == limits.iterations:
                break
            order = sorted(range(len(left)), key=lambda i: left[i].score)
            kept = torch.tensor(sorted(order[: (len(left) + 1) // 2]), device=theta.device)
            for i in order[len(kept) :]:
                self.flat.write(lanes.theta[i], left[i].net)
                done.append(left[i])
            left = [left[i] for i in kept.tolist()]
            lanes = lanes.keep(kept)
            self.objective.keep(kept)
        for candidate, values in zip(left, lanes.theta, strict=True):
            self.flat.write(values, candidate.net)
        left.sort(key=lambda c: c.score)
        return left + sorted(done, key=lambda c: c.score), why, lanes.iterations

    def by_gradient(self, candidates: list[Candidate], theta: Tensor) -> tuple[list[Candidate], Why, int]:
        """L-BFGS for one network after the other; each gets the same time."""
        why: Why = "iterations"
        most = 0
        limits = self.limits
        for i in range(len(candidates)):
            with limits.clock.within(limits.clock.left() / (len(candidates) - i)):
                theta[i], why, count = minimise_by_gradient(
                    functools.partial(_one_gradient, self.objective, torch.tensor([i], device=theta.device)),
                    theta[i],
                    iterations=limits.iterations,
                    tolerance=limits.tolerance,
                    floor=limits.floor,
                    clock=limits.clock,
                    on_step=limits.on_step,
                )
            most = max(most, count)
        self._measure(candidates, theta)
        for candidate, values in zip(candidates, theta, strict=True):
            self.flat.write(values, candidate.net)
        return sorted(candidates, key=lambda c: c.score), why, most

    def by_batches(
        self, left: list[Candidate], theta: Tensor, rates: Sequence[float]
    ) -> tuple[list[Candidate], Why, int]:
        """Adam on batches of all rows; of several networks the better one is kept after a while."""
        done: list[Candidate] = []

        def choose(theta: Tensor) -> int:
            self._measure(left, theta)
            best = min(range(len(left)), key=lambda i: left[i].score)
            for i, candidate in enumerate(left):
                if i != best:
                    self.flat.write(theta[i], candidate.net)
                    done.append(candidate)
            left[:] = [left[best]]
            return best

        limits = self.limits
        state = Descent(theta, theta.new_tensor(rates[: len(left)]))
        descend(
            self.objective,
            state,
            self.rows,
            clock=limits.clock,
            passes=limits.iterations,
            choose=choose,
            on_step=limits.on_step,
        )
        self._measure(left, state.theta)
        for candidate, values in zip(left, state.theta, strict=True):
            self.flat.write(values, candidate.net)
        for candidate in (*left, *done):
            candidate.rows = max(candidate.rows, min(self.rows.count, state.steps * BATCH))
        left.sort(key=lambda c: c.score)
        return left + done, "time" if limits.clock.lacks() else "iterations", state.steps

    def _measure(self, candidates: Sequence[Candidate], theta: Tensor) -> None:
        """Store the losses of the candidates."""
        constants = self.objective.constants
        with self.limits.clock.stopped():
            train = self.seen.by_output(theta, constants).tolist()
            other = None if self.held_out is None else self.held_out.by_output(theta, constants).tolist()
        for i, candidate in enumerate(candidates):
            candidate.train = tuple(train[i])
            candidate.held_out = None if other is None else tuple(other[i])


def _one_gradient(objective: Penalised, lane: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
    return objective.gradient(theta.unsqueeze(0), lane)
