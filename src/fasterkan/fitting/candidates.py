"""Networks that are fitted in parallel: drawn at random, fitted together, the worse ones dropped by held-out error."""

from __future__ import annotations

import copy
import dataclasses
import functools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ..nn.feature_norm import FeatureScaling
from .flat import FlatNet
from .frozen import frozen_kept
from .lbfgs import minimise_by_gradient
from .levenberg_marquardt import Lanes, Why, minimise
from .objective import Misfit, Penalised
from .units import Units

MOST_PARAMETERS = 3000
"""Largest number of parameters for Levenberg-Marquardt. Its matrix then has 72 MB, and a step takes about a second on
one core (P^3 / 3 for the solution, N P^2 for the matrix of N rows). Above it L-BFGS is used; its step costs one
gradient."""


@dataclasses.dataclass
class Candidate:
    """A float64 network during the fit, and its mean losses: one part per output, for targets of variance 1."""

    net: nn.Module
    start: int
    smoothness: float
    train: tuple[float, ...] = (math.inf,)
    held_out: tuple[float, ...] | None = None

    @property
    def score(self) -> float:
        """The loss that decides the choice: on held-out rows, else on fitted rows; NaN counts as infinite."""
        score = sum(self.train if self.held_out is None else self.held_out)
        return score if math.isfinite(score) else math.inf

    def copy(self, smoothness: float | None = None) -> Candidate:
        """Return a candidate with a copy of the network, and another smoothness if one is given."""
        strength = self.smoothness if smoothness is None else smoothness
        return dataclasses.replace(self, net=copy.deepcopy(self.net), smoothness=strength)


@dataclasses.dataclass(frozen=True)
class Task:
    """The problem to fit: functions that make the misfit for networks of a shape, and the data for feature norms."""

    fitted: Callable[[FlatNet], Misfit]
    held_out: Callable[[FlatNet], Misfit] | None
    points: Tensor | None
    """[N, I], float64, sets the feature norms; with None the norms do not change."""
    sparsity: float = 0.0
    """Strength of the sparsity penalty."""
    units: Units = dataclasses.field(default_factory=Units)
    """The units of the parameters in the fit."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """The limits that end a phase."""

    iterations: int
    tolerance: float
    out_of_time: Callable[[], bool]
    on_step: Callable[[int, float], None]


def draw(net: nn.Module, start: int, seed: int, *, norms: bool) -> None:
    """Give a network new random weights from its own seed, in place; no global state is changed.

    With `norms` the feature norms are reset too. Frozen parameters and buffers do not change.
    """
    with torch.random.fork_rng(devices=[]), frozen_kept(net):
        torch.manual_seed((seed * 1_000_003 + start) % 2**63)
        for module in net.modules():
            reset = getattr(module, "reset_parameters", None)
            learned = any(p.requires_grad for p in module.parameters())
            if callable(reset) and (norms if isinstance(module, FeatureScaling) else learned):
                reset()


def check_dependence(candidates: Sequence[Candidate], task: Task) -> None:
    """Raise ValueError if the residuals are not 0 but do not depend on the parameters of the first candidates."""
    for candidate in candidates[:2]:
        flat = FlatNet(candidate.net, task.units)
        theta, constants, misfit = flat.theta([candidate.net]), flat.constants([candidate.net]), task.fitted(flat)
        slope = misfit.gradient if flat.size > MOST_PARAMETERS else misfit.normal
        if bool(slope(theta, constants)[1].any()) or float(misfit.value(theta, constants)) == 0:
            return
    raise ValueError("fit: the residual does not depend on the net that it is given; compute it with its argument")


def fit_side_by_side(
    candidates: Sequence[Candidate], task: Task, limits: Limits, *, halving: Sequence[int] = ()
) -> tuple[list[Candidate], Why, int]:
    """Fit candidates of one shape together; return them with the best first, why the fit ended, and the iterations.

    Args:
        candidates: the networks; they are changed.
        task: the problem to fit.
        limits: the limits that end the fit.
        halving: numbers of iterations; after each of them the worse half is dropped.
    """
    flat = FlatNet(candidates[0].net, task.units)
    nets = [c.net for c in candidates]
    theta = flat.theta(nets)
    strength = theta.new_tensor([c.smoothness for c in candidates])
    objective = Penalised(task.fitted(flat), flat, nets, strength, task.sparsity)
    held_out = None if task.held_out is None else task.held_out(flat)
    if flat.size > MOST_PARAMETERS:
        return _by_gradient(candidates, flat, objective, held_out, theta, limits)
    lanes = Lanes.at(theta, objective)
    left = list(candidates)
    done: list[Candidate] = []
    why: Why = "iterations"
    for rung in (*halving, limits.iterations):
        if len(left) == 1:
            rung = limits.iterations
        budget = min(rung, limits.iterations - lanes.iterations)
        why = minimise(
            objective,
            lanes,
            iterations=budget,
            tolerance=limits.tolerance,
            largest=flat.largest,
            out_of_time=limits.out_of_time,
            on_step=lambda state: limits.on_step(state.iterations, float(state.value.min())),
        )
        _measure(left, objective, held_out, lanes.theta)
        if why == "time" or rung == limits.iterations:
            break
        order = sorted(range(len(left)), key=lambda i: left[i].score)
        kept = torch.tensor(sorted(order[: (len(left) + 1) // 2]), device=theta.device)
        for i in order[len(kept) :]:
            flat.write(lanes.theta[i], left[i].net)
            done.append(left[i])
        left = [left[i] for i in kept.tolist()]
        lanes = lanes.keep(kept)
        objective.keep(kept)
    for candidate, values in zip(left, lanes.theta, strict=True):
        flat.write(values, candidate.net)
    left.sort(key=lambda c: c.score)
    return left + sorted(done, key=lambda c: c.score), why, lanes.iterations


def _by_gradient(
    candidates: Sequence[Candidate],
    flat: FlatNet,
    objective: Penalised,
    held_out: Misfit | None,
    theta: Tensor,
    limits: Limits,
) -> tuple[list[Candidate], Why, int]:
    why: Why = "iterations"
    most = 0
    for i in range(len(candidates)):
        theta[i], why, count = minimise_by_gradient(
            functools.partial(_one_gradient, objective, torch.tensor([i], device=theta.device)),
            theta[i],
            iterations=limits.iterations,
            tolerance=limits.tolerance,
            out_of_time=limits.out_of_time,
            on_step=limits.on_step,
        )
        most = max(most, count)
    _measure(candidates, objective, held_out, theta)
    for candidate, values in zip(candidates, theta, strict=True):
        flat.write(values, candidate.net)
    return sorted(candidates, key=lambda c: c.score), why, most


def _one_gradient(objective: Penalised, lane: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
    return objective.gradient(theta.unsqueeze(0), lane)


def _measure(candidates: Sequence[Candidate], objective: Penalised, held_out: Misfit | None, theta: Tensor) -> None:
    """Store the losses of the candidates."""
    train = objective.misfits(theta).tolist()
    other = [None] * len(train) if held_out is None else held_out.by_output(theta, objective.constants).tolist()
    for candidate, mine, out in zip(candidates, train, other, strict=True):
        candidate.train, candidate.held_out = tuple(mine), None if out is None else tuple(out)
