"""Networks side by side: drawn, fitted together, thinned out by held-out error."""

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

MOST_PARAMETERS = 3000
"""Parameters up to which Levenberg-Marquardt is used: its matrix is then 72 MB, a step takes about a second on one
core (P^3 / 3 for the solution, N P^2 for the matrix of N rows); beyond, L-BFGS, whose step costs one gradient."""


@dataclasses.dataclass
class Candidate:
    """A float64 network on its way, and how good it is: mean losses of targets of variance 1, what each output adds."""

    net: nn.Module
    start: int
    smoothness: float
    train: tuple[float, ...] = (math.inf,)
    held_out: tuple[float, ...] | None = None

    @property
    def score(self) -> float:
        """What the choice goes by: the loss on rows held out, else on the fitted ones; infinite instead of NaN."""
        score = sum(self.train if self.held_out is None else self.held_out)
        return score if math.isfinite(score) else math.inf

    def copy(self, smoothness: float | None = None) -> Candidate:
        """Return one with a network of its own, and another smoothness perhaps."""
        strength = self.smoothness if smoothness is None else smoothness
        return dataclasses.replace(self, net=copy.deepcopy(self.net), smoothness=strength)


@dataclasses.dataclass(frozen=True)
class Task:
    """What candidates are fitted to: misfits for networks of a shape, and the data that sets feature norms."""

    fitted: Callable[[FlatNet], Misfit]
    held_out: Callable[[FlatNet], Misfit] | None
    points: Tensor | None
    """[N, I], float64: sets the feature norms; None leaves them."""
    sparsity: float = 0.0
    """Strength of that penalty."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """When a phase ends."""

    iterations: int
    tolerance: float
    out_of_time: Callable[[], bool]
    on_step: Callable[[int, float], None]


def draw(net: nn.Module, start: int, seed: int, *, norms: bool) -> None:
    """Give a network new random weights by a seed of its own, in place; nothing global is changed.

    With `norms` the feature norms become as new too. What is frozen stays as it is.
    """
    with torch.random.fork_rng(devices=[]), frozen_kept(net):
        torch.manual_seed((seed * 1_000_003 + start) % 2**63)
        for module in net.modules():
            reset = getattr(module, "reset_parameters", None)
            learned = any(p.requires_grad for p in module.parameters())
            if callable(reset) and (norms if isinstance(module, FeatureScaling) else learned):
                reset()


def check_dependence(candidates: Sequence[Candidate], task: Task) -> None:
    """Raise ValueError if residuals that are not 0 do not change with any parameter of the first candidates."""
    for candidate in candidates[:2]:
        flat = FlatNet(candidate.net)
        theta, constants, misfit = flat.theta([candidate.net]), flat.constants([candidate.net]), task.fitted(flat)
        slope = misfit.gradient if flat.size > MOST_PARAMETERS else misfit.normal
        if bool(slope(theta, constants)[1].any()) or float(misfit.value(theta, constants)) == 0:
            return
    raise ValueError("fit: the residual does not depend on the net that it is given; use its argument")


def fit_side_by_side(
    candidates: Sequence[Candidate], task: Task, limits: Limits, *, halving: Sequence[int] = ()
) -> tuple[list[Candidate], Why, int]:
    """Fit candidates of one shape together and return them, the best first, why it ended, and the iterations.

    Args:
        candidates: the networks; changed.
        task: what they are fitted to.
        limits: when to end.
        halving: after so many iterations each, the worse half is let go.
    """
    flat = FlatNet(candidates[0].net)
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
    """Write down the losses of the candidates."""
    train = objective.misfits(theta).tolist()
    other = [None] * len(train) if held_out is None else held_out.by_output(theta, objective.constants).tolist()
    for candidate, mine, out in zip(candidates, train, other, strict=True):
        candidate.train, candidate.held_out = tuple(mine), None if out is None else tuple(out)
