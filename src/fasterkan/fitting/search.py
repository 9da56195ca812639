"""The phases of a fit: starts, smoothness, finer grids, polish; held-out error decides what each phase keeps."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Sequence

from torch import nn

from . import grids
from .candidates import Candidate, Limits, Task, check_dependence, draw, fit_side_by_side
from .last_layer import rest
from .norms import give_room, settle
from .observers import FitObserver
from .probe import exact_copy
from .result import Attempt, Phase, PhaseName, Stopped
from .scaling import TargetScale
from .units import balance

SMOOTHNESS = (1e-3, 1e-5, 1e-7, 1e-9, 1e-12)
"""Strengths that are tried for the first grid. With targets of variance 1, a strength of 1e-3 removes noise as large as
the signal, and 1e-12 has almost no effect on errors of 1e-6."""
LEAST_SMOOTHNESS = 1e-17
STARTS_SMOOTHNESS = 1e-8
HALVING = (8, 8)
GAIN = 0.97
"""A finer grid must reduce the held-out loss below this factor times the best loss so far."""
FAILURES = 2
"""The fit ends after this number of grids in a row without such a reduction. One may be chance, because held-out errors
depend on few rows."""
COARSE_TOLERANCE = 0.1
FINE_TOLERANCE = 0.02
LAST_TOLERANCE = 3e-3


@dataclasses.dataclass(frozen=True)
class Plan:
    """The grids, starts and strengths to try."""

    counts: tuple[int | None, ...]
    starts: int
    seed: int
    smoothness: float | None
    iterations: int


class FitSearch:
    """One fit: `run` goes through the phases and stores the best network in `best`.

    Args:
        net: the given network; only copies of it are changed.
        task: the problem with held-out rows.
        polish: the problem with all rows. At the end the chosen network is fitted to it, with its grid and smoothness.
            None leaves this phase out.
        plan: the grids, starts and strengths to try.
        out_of_time: returns whether the time limit has passed.
        observer: receives all events.
        unit: computes the loss of the result, in units of y, from the part of each output in a mean loss.
        scale: scale of the targets, or None if they are not scaled. At the end it is folded into the best network.
    """

    def __init__(
        self,
        net: nn.Module,
        task: Task,
        polish: Task | None,
        plan: Plan,
        out_of_time: Callable[[], bool],
        observer: FitObserver,
        unit: Callable[[Sequence[float]], float],
        scale: TargetScale | None,
    ) -> None:
        self.net, self.task, self.polish, self.plan = net, task, polish, plan
        self.out_of_time, self.observer, self.unit, self.scale = out_of_time, observer, unit, scale
        self.dtype = next(net.parameters()).dtype
        self.best: Candidate
        self.phases: list[Phase] = []
        self.grid: int | None = None

    def run(self) -> Stopped:
        """Go through the phases; afterwards `best` is the kept network, and `grid` its count."""
        stopped = self._coarse_to_fine()
        if stopped != "time" and self.polish is not None:
            before = self.best
            last = [before.copy()]
            (self.best, *_), why = self._phase("polish", self.grid, last, tolerance=LAST_TOLERANCE, task=self.polish)
            self.best.held_out = before.held_out
            stopped = stopped if stopped == "held-out error stopped falling" and why != "time" else why
        if self.scale is not None:
            self.scale.fold(self.best.net)
        return stopped

    def _coarse_to_fine(self) -> Stopped:
        pool, why = self._starts(self.plan.counts[0])
        failures = 0
        for count in self.plan.counts[1:]:
            if why == "time":
                break
            assert count is not None
            finer = [candidate.copy() for candidate in pool]
            for candidate in finer:
                grids.refine(candidate.net, count)
                settle(candidate.net, self.task.points, self.dtype)
            lanes = [lane for candidate in finer for lane in self._strengths(candidate)]
            pool, why = self._phase("grid", count, lanes, tolerance=FINE_TOLERANCE, halving=(12, 12))
            failures = 0 if pool[0].score < GAIN * self.best.score else failures + 1
            self._take(pool[0], count)
            if failures == FAILURES and why != "time":
                return "converged" if self.task.held_out is None else "held-out error stopped falling"
        return why

    def _starts(self, count: int | None) -> tuple[list[Candidate], Stopped]:
        """Choose two starts and their smoothness, on the first grid."""
        plan = self.plan
        strength = plan.smoothness
        if strength is None:  # a fitted network must not be smoothed again
            strength = STARTS_SMOOTHNESS if plan.starts else SMOOTHNESS[-1]
        drawn = [Candidate(exact_copy(self.net), i, strength) for i in range(max(1, plan.starts))]
        for candidate in drawn:
            give_room(candidate.net)
            if count is not None:
                grids.coarsen(candidate.net, count)
            if plan.starts:
                draw(candidate.net, candidate.start, plan.seed, norms=self.task.points is not None)
                balance(candidate.net, self.task.units)
                if self.scale is not None and self.scale.last is not None:
                    rest(candidate.net, self.scale.last)
            elif self.scale is not None:
                self.scale.unfold(candidate.net)
            settle(candidate.net, self.task.points, self.dtype)
        if self.scale is None:
            check_dependence(drawn, self.task)
        first = count if count is not None else grids.count_of(self.net)
        pool, why = self._phase("starts", first, drawn, tolerance=COARSE_TOLERANCE, halving=HALVING)
        if not math.isfinite(sum(pool[0].train)):
            raise ValueError(
                "fit: the network's outputs, or the residuals, are not finite at any start; look at the sizes of X "
                '(norm="feature" brings any to the grid) and at the residual function'
            )
        self.best, self.grid = pool[0], first
        if why == "time" or plan.smoothness is not None or self.task.held_out is None:
            return pool, why
        settled = [candidate.copy() for candidate in pool]
        for candidate in settled:
            settle(candidate.net, self.task.points, self.dtype)
        tried = [candidate.copy(smoothness=strength) for candidate in settled for strength in SMOOTHNESS]
        pool, why = self._phase("smoothness", first, tried, tolerance=COARSE_TOLERANCE, halving=(10, 10, 10))
        self._take(pool[0], first)
        return pool, why

    def _take(self, candidate: Candidate, count: int | None) -> None:
        """Store a candidate that is better than the best so far."""
        if candidate.score < self.best.score:
            self.best, self.grid = candidate, count

    def _strengths(self, candidate: Candidate) -> list[Candidate]:
        """The candidate with its own smoothness and, if smoothness is chosen, with 100 times and 1/100 of it."""
        if self.plan.smoothness is not None or self.task.held_out is None:
            return [candidate]
        strengths = (candidate.smoothness * factor for factor in (1, 100, 0.01))
        return [candidate.copy(smoothness=s) for s in strengths if LEAST_SMOOTHNESS <= s <= SMOOTHNESS[0]]

    def _phase(
        self,
        name: PhaseName,
        grid: int | None,
        candidates: Sequence[Candidate],
        *,
        tolerance: float,
        halving: Sequence[int] = (),
        task: Task | None = None,
    ) -> tuple[list[Candidate], Stopped]:
        """Fit candidates, store the phase; return the best of each of the two best starts, and why the phase ended."""
        start = time.perf_counter()
        iterations = self.plan.iterations
        self.observer.on_phase_start(name, grid, iterations)
        limits = Limits(iterations, tolerance, self.out_of_time, self.observer.on_step)
        ranked, why, count = fit_side_by_side(candidates, task or self.task, limits, halving=halving)
        attempts = tuple(
            Attempt(c.start, c.smoothness, self.unit(c.train), None if c.held_out is None else self.unit(c.held_out))
            for c in ranked
        )
        phase = Phase(name, grid, attempts, count, time.perf_counter() - start)
        self.phases.append(phase)
        self.observer.on_phase(phase)
        others = [c for c in ranked if c.start != ranked[0].start and math.isfinite(sum(c.train))]
        return [ranked[0], *others[:1]], why
