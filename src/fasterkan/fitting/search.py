"""The phases of a fit: starts, smoothness, finer grids, more rows, polish; held-out error decides what each keeps."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

from torch import nn

from . import grids
from .candidates import Candidate, Task, check_dependence, draw
from .clock import Clock
from .descent import BATCH, LAST_RATE, MANY, RATES
from .effort import MEASURED, STEPS, Costs, Effort, affordable, enough_rows, least_rows, method_for
from .flat import FlatNet
from .last_layer import rest
from .levenberg_marquardt import FLOOR
from .norms import give_room, settle
from .objective import Misfit
from .observers import FitObserver
from .probe import exact_copy
from .race import Limits, fit_side_by_side
from .result import Attempt, Phase, PhaseName, Stopped
from .scaling import TargetScale
from .units import balance

SMOOTHNESS = (1e-5, 1e-3, 1e-9, 1e-7, 1e-12)
"""Strengths that are tried for the first grid, the first ones if time is short. With targets of variance 1, a strength
of 1e-3 removes noise as large as the signal, and 1e-12 has almost no effect on errors of 1e-6."""
MOST_SMOOTHNESS, FITTED_SMOOTHNESS, LEAST_SMOOTHNESS = 1e-3, 1e-12, 1e-17
STARTS_SMOOTHNESS, HASTY_SMOOTHNESS = 1e-8, 1e-4
"""Strengths for the starts. The second one is used if time is short and the rows are few for so many parameters."""
HALVING = (8, 8)
GAIN = 0.97
"""A finer grid must reduce the held-out loss below this factor times the best loss so far."""
FAILURES = 2
"""The fit ends after this number of grids in a row without such a reduction. One may be chance, because held-out errors
depend on few rows."""
COARSE_TOLERANCE = 0.1
FINE_TOLERANCE = 0.02
LAST_TOLERANCE = 3e-3
GROWTH = 4
"""Each phase with more rows has this many times as many."""
FEW_STEPS = 6
"""Number of steps for which a phase with more rows, or a finer grid, should have enough time."""
POLISH_STEPS = 3
"""Number of steps on all rows that are worth while at the end."""
ONE_GRID = {"starts": 0.4, "smoothness": 0.65, "grid": 0.65, "rows": 0.85, "polish": 1.0}
SEVERAL_GRIDS = {"starts": 0.25, "smoothness": 0.45, "grid": 0.75, "rows": 0.88, "polish": 1.0}
"""Shares of a limited time, counted from the beginning, at which the phases end at the latest."""
ADAM_ALONE, ADAM_FIRST = 0.85, 0.6
"""The share for Adam if no second-order phase can follow, and if one can."""
EVALUATION = 0.1
"""Largest share of a limited time for the last evaluation; with less than it needs, it sees some of the rows only."""
COMPARISON = 0.005
"""Share of a limited time for one evaluation of a network that is compared with others."""
LEAST_MEASURED = 500
"""Smallest number of rows on which networks are compared or evaluated."""
MARGIN = 0.02
"""Share of a limited time that is left over for the end."""
BATCH_COST = 4
"""Cost of a row in a step of Adam, compared with that of its value in a large batch."""


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
        clock: the time limit.
        observer: receives all events.
        unit: computes the loss of the result, in units of y, from the part of each output in a mean loss.
        scale: scale of the targets, or None for equations. At the end it is folded into the best network.
    """

    def __init__(
        self,
        net: nn.Module,
        task: Task,
        polish: Task | None,
        plan: Plan,
        clock: Clock,
        observer: FitObserver,
        unit: Callable[[Sequence[float]], float],
        scale: TargetScale | None,
    ) -> None:
        self.net, self.task, self.polish, self.plan = net, task, polish, plan
        self.clock, self.observer, self.unit, self.scale = clock, observer, unit, scale
        self.dtype = next(net.parameters()).dtype
        self.best: Candidate
        self.phases: list[Phase] = []
        self.grid: int | None = None
        self.cut = False
        """Whether the clock changed anything."""
        self.measured, self.evaluated, self.floor = MEASURED, 0, FLOOR
        self.adam_end = ADAM_ALONE
        self.ends = ONE_GRID if len(plan.counts) == 1 else SEVERAL_GRIDS

    def run(self) -> Stopped:
        """Go through the phases; afterwards `best` is the kept network, and `grid` its count."""
        stopped = self._coarse_to_fine()
        stopped = self._more_rows(stopped)
        self._evaluate(self.task, held_out=True)
        stopped = self._last(stopped)
        if self.scale is not None:
            self.scale.fold(self.best.net)
        return "time" if self.cut else stopped

    def _coarse_to_fine(self) -> Stopped:
        pool, why = self._starts(self.plan.counts[0])
        failures, finer_grids = 0, self.plan.counts[1:]
        begin, end = self.ends["smoothness"], self.ends["grid"]
        for number, count in enumerate(finer_grids):
            if self.clock.lacks():
                self.cut = True
                break
            assert count is not None
            finer = [candidate.copy() for candidate in pool]
            for candidate in finer:
                grids.refine(candidate.net, count)
                settle(candidate.net, self.task.points, self.dtype)
            lanes = [lane for candidate in finer for lane in self._strengths(candidate)]
            until = begin + (end - begin) * (number + 1) / len(finer_grids)
            found = self._phase("grid", count, lanes, tolerance=FINE_TOLERANCE, halving=(12, 12), until=until)
            if found is None:
                break
            pool, why = found
            failures = 0 if pool[0].score < GAIN * self.best.score else failures + 1
            self._take(pool[0], count)
            if failures == FAILURES:
                return "converged" if self.task.held_out is None else "held-out error stopped falling"
        return why

    def _starts(self, count: int | None) -> tuple[list[Candidate], Stopped]:
        """Choose two starts and their smoothness, on the first grid."""
        plan = self.plan
        drawn = [self._drawn(0, count)]
        wanted = max(1, plan.starts)
        effort = self._effort("starts", drawn[0], wanted, HALVING, self.ends["starts"])
        assert effort is not None
        drawn += [self._drawn(i, count) for i in range(1, effort.networks)]
        hasty = plan.smoothness is None and plan.starts > 0 and self._hasty(drawn[0], effort)
        if hasty:
            for candidate in drawn:
                candidate.smoothness = HASTY_SMOOTHNESS
        if self.scale is None:
            self.floor = FLOOR * check_dependence(drawn, self.task, self.clock)
        first = count if count is not None else grids.count_of(self.net)
        pool, why = self._fit("starts", first, drawn, effort, tolerance=COARSE_TOLERANCE)
        if not math.isfinite(sum(pool[0].train)):
            raise ValueError(
                "fit: the network's outputs, or the residuals, are not finite at any start; look at the sizes of X "
                '(norm="feature" brings any to the grid) and at the residual function'
            )
        self.best, self.grid = pool[0], first
        if plan.smoothness is not None or self.task.held_out is None or self.clock.lacks():
            return pool, why
        settled = [candidate.copy() for candidate in pool]
        for candidate in settled:
            settle(candidate.net, self.task.points, self.dtype)
        strengths = sorted(SMOOTHNESS, reverse=True) if hasty else SMOOTHNESS
        tried = [candidate.copy(smoothness=strength) for candidate in settled for strength in strengths]
        until = max(self.ends["smoothness"], ADAM_FIRST + 0.2 if self.best.method == "Adam" else 0.0)
        found = self._phase("smoothness", first, tried, tolerance=COARSE_TOLERANCE, halving=(10, 10, 10), until=until)
        if found is None:
            return pool, why
        self._take(found[0][0], first)
        return found

    def _hasty(self, candidate: Candidate, effort: Effort) -> bool:
        """Whether time is short and the rows are few for the parameters; without smoothness they would be fitted."""
        flat = FlatNet(candidate.net, self.task.units)
        misfit = self.task.fitted(flat)
        return effort.reduced and self.task.held_out is not None and least_rows(misfit, flat.size) == misfit.count

    def _drawn(self, start: int, count: int | None) -> Candidate:
        """A network with new random weights, or the given one if there are no starts."""
        plan = self.plan
        strength = plan.smoothness
        if strength is None:  # a fitted network must not be smoothed again
            strength = STARTS_SMOOTHNESS if plan.starts else FITTED_SMOOTHNESS
        candidate = Candidate(exact_copy(self.net), start, strength)
        give_room(candidate.net)
        if count is not None:
            grids.coarsen(candidate.net, count)
        if plan.starts:
            draw(candidate.net, start, plan.seed, norms=self.task.points is not None)
            balance(candidate.net, self.task.units)
            if self.scale is not None and self.scale.last is not None:
                rest(candidate.net, self.scale.last)
        elif self.scale is not None:
            self.scale.unfold(candidate.net)
        settle(candidate.net, self.task.points, self.dtype)
        return candidate

    def _more_rows(self, stopped: Stopped) -> Stopped:
        """Continue with the best network on more and more of the rows, as long as the held-out error falls."""
        flat = FlatNet(self.best.net, self.task.units)
        misfit, rows = self.task.fitted(flat), self.best.rows
        while self.best.method != "Adam" and rows < misfit.count and not self.clock.lacks():
            if not self.clock.limited and self.polish is not None and GROWTH * rows >= misfit.count:
                return stopped  # the polish does this
            more, strengths = min(GROWTH * rows, misfit.count), self._strengths(self.best)
            strengths = [lane for lane in strengths if lane.smoothness <= self.best.smoothness]
            with self.clock.until(self.ends["rows"]):
                if self.clock.limited:
                    costs = self._costs(flat, misfit, self.best)
                    more = int(min(misfit.count, max(0.0, costs.rows(self.clock.left(), FEW_STEPS))))
                    strengths = strengths[:1]
                    if more < min(2 * rows, misfit.count):
                        self.cut = True
                        return stopped
            effort = Effort(method_for(flat.size), len(strengths), more, reduced=False, halving=(FEW_STEPS,))
            until = self.ends["rows"]
            ranked, why = self._fit("rows", self.grid, strengths, effort, tolerance=FINE_TOLERANCE, until=until)
            found = ranked[0]
            if self.task.held_out is not None and not found.score < self.best.score:
                return stopped
            self.best, rows, stopped = found, more, why
        return stopped

    def _last(self, stopped: Stopped) -> Stopped:
        """Fit the best network to all rows; then its losses are those on all rows."""
        if self.polish is not None and not self.clock.lacks():
            before = self.best
            found = self._phase(
                "polish", self.grid, [before.copy()], tolerance=LAST_TOLERANCE, halving=(), task=self.polish, until=1.0
            )
            if found is not None:
                (self.best, *_), why = found
                self.best.held_out = before.held_out
                self._evaluate(self.polish, held_out=False)
                return stopped if stopped == "held-out error stopped falling" and why != "time" else why
        elif self.polish is not None:
            self.cut = True
        return stopped

    def _take(self, candidate: Candidate, count: int | None) -> None:
        """Store a candidate that is better than the best so far."""
        if candidate.score < self.best.score:
            self.best, self.grid = candidate, count

    def _strengths(self, candidate: Candidate) -> list[Candidate]:
        """The candidate with its own smoothness and, if smoothness is chosen, with 100 times and 1/100 of it."""
        if self.plan.smoothness is not None or self.task.held_out is None:
            return [candidate.copy()]
        strengths = (candidate.smoothness * factor for factor in (1, 100, 0.01))
        return [candidate.copy(smoothness=s) for s in strengths if LEAST_SMOOTHNESS <= s <= MOST_SMOOTHNESS]

    def _phase(
        self,
        name: PhaseName,
        grid: int | None,
        candidates: Sequence[Candidate],
        *,
        tolerance: float,
        halving: Sequence[int],
        until: float,
        task: Task | None = None,
    ) -> tuple[list[Candidate], Stopped] | None:
        """Fit as many of the candidates as can be afforded; None if the phase is not worth its time."""
        effort = self._effort(name, candidates[0], len(candidates), halving, until, task)
        if effort is None:
            self.cut = True
            return None
        chosen = candidates[: effort.networks]
        return self._fit(name, grid, chosen, effort, tolerance=tolerance, until=until, task=task)

    def _fit(
        self,
        name: PhaseName,
        grid: int | None,
        candidates: Sequence[Candidate],
        effort: Effort,
        *,
        tolerance: float,
        until: float | None = None,
        task: Task | None = None,
    ) -> tuple[list[Candidate], Stopped]:
        """Fit candidates, store the phase; return the best of each of the two best starts, and why the phase ended."""
        start = self.clock.elapsed()
        iterations, chosen = self.plan.iterations, task or self.task
        flat = FlatNet(candidates[0].net, chosen.units)
        misfit = chosen.fitted(flat)
        rates: tuple[float, ...] = ()
        if effort.method == "Adam":
            iterations = self.plan.iterations * -(-misfit.count // BATCH)
            rates = RATES if name == "starts" and self.plan.starts else (RATES[-1] if name == "grid" else LAST_RATE,)
        self.observer.on_phase_start(name, grid, iterations)
        limits = Limits(self.plan.iterations, tolerance, self.clock, self.observer.on_step, self.floor, self.measured)
        with self.clock.until(self._end(name, effort, until)):
            ranked, why, count = fit_side_by_side(candidates, flat, misfit, chosen, limits, effort, rates=rates)
        attempts = tuple(
            Attempt(c.start, c.smoothness, self.unit(c.train), None if c.held_out is None else self.unit(c.held_out))
            for c in ranked
        )
        seconds = self.clock.elapsed() - start
        phase = Phase(name, grid, attempts, count, seconds, ranked[0].rows, ranked[0].method)
        self.phases.append(phase)
        self.observer.on_phase(phase)
        self.cut |= effort.reduced or why == "time"
        others = [c for c in ranked if c.start != ranked[0].start and math.isfinite(sum(c.train))]
        return [ranked[0], *others[:1]], why

    def _end(self, name: PhaseName, effort: Effort, until: float | None) -> float:
        """The share of the time at which a phase ends at the latest."""
        if name == "starts" and effort.method == "Adam":
            return self.adam_end
        return self.ends[name] if until is None else until

    def _effort(
        self,
        name: PhaseName,
        candidate: Candidate,
        networks: int,
        halving: Sequence[int],
        until: float,
        task: Task | None = None,
    ) -> Effort | None:
        """What a phase with so many networks of a shape does; None if it is not worth its time."""
        chosen = task or self.task
        flat = FlatNet(candidate.net, chosen.units)
        misfit, method = chosen.fitted(flat), method_for(flat.size)
        if not self.clock.limited:
            rows = misfit.count if name == "polish" else enough_rows(misfit, flat.size)
            return Effort(method, networks, rows, reduced=False, halving=tuple(halving))
        costs = self._costs(flat, misfit, candidate)
        adam = candidate.method == "Adam"
        with self.clock.until(until):
            if name == "polish" and not adam:
                enough = costs.steps(self.clock.left(), misfit.count) >= POLISH_STEPS
                return Effort(method, 1, misfit.count, reduced=False) if enough else None
            found = None
            if name != "polish":
                least, steps = (2 if name == "starts" else 1), (FEW_STEPS if name == "grid" else STEPS)
                found = affordable(self.clock, costs, misfit, flat.size, networks, halving, least=least, steps=steps)
        if found is not None or (name != "starts" and not (adam and name in ("grid", "polish"))):
            return found
        if misfit.count == 1:
            return Effort(method, 1, 1, reduced=True)
        follows = costs.rows(0.3 * self.clock.seconds, STEPS) >= least_rows(misfit, flat.size)
        self.adam_end = ADAM_FIRST if follows or len(self.plan.counts) > 1 else ADAM_ALONE
        many = self.adam_end * self.clock.seconds > 2 * MANY * BATCH * BATCH_COST * costs.value
        return Effort("Adam", min(networks, 2 if many and name == "starts" else 1), misfit.count, reduced=True)

    def _costs(self, flat: FlatNet, misfit: Misfit, candidate: Candidate) -> Costs:
        """Measure the costs of a shape; the first time, decide how many rows are used to compare and to evaluate."""
        theta, constants = flat.theta([candidate.net]), flat.constants([candidate.net])
        with self.clock.stopped():
            costs = Costs.measure(misfit, theta, constants, method_for(flat.size), self.clock.seconds)
        if not self.clock.reserve:
            seconds, each = self.clock.seconds, costs.value
            self.measured = max(LEAST_MEASURED, min(MEASURED, int(COMPARISON * seconds / each)))
            self.evaluated = max(LEAST_MEASURED, int(EVALUATION * seconds / (3 * each)))
            rows = [misfit.count]
            rows += [] if self.polish is None else [self.polish.fitted(flat).count]
            rows += [] if self.task.held_out is None else [self.task.held_out(flat).count]
            self.clock.keep(each * sum(min(count, self.evaluated) for count in rows) + MARGIN * seconds)
        return costs

    def _evaluate(self, task: Task, *, held_out: bool) -> None:
        """Compute the losses of the best network on all rows, or on as many as the time allows."""
        flat = FlatNet(self.best.net, task.units)
        theta, constants = flat.theta([self.best.net]), flat.constants([self.best.net])

        def losses(misfit: Misfit) -> tuple[float, ...]:
            rows = min(misfit.count, self.evaluated or misfit.count)
            return tuple(misfit.between(0, rows).by_output(theta, constants)[0].tolist())

        fitted = task.fitted(flat)
        with self.clock.stopped():
            if self.best.rows < fitted.count or fitted.count > self.measured:
                self.best.train = losses(fitted)
            if held_out and task.held_out is not None and (out := task.held_out(flat)).count > self.measured:
                self.best.held_out = losses(out)
