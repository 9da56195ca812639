"""Networks that compete, the problem that they are fitted to, and how they are drawn."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ..nn.feature_norm import FeatureScaling
from .clock import Clock
from .effort import Method, method_for
from .flat import FlatNet
from .frozen import frozen_kept, norms_of_frozen_branches
from .objective import Misfit
from .units import Units

TRIED = 256
"""Number of rows on which a residual is tried if time is limited."""


@dataclasses.dataclass
class Candidate:
    """A float64 network during the fit, and its mean losses: one part per output, for targets of variance 1."""

    net: nn.Module
    start: int
    smoothness: float
    train: tuple[float, ...] = (math.inf,)
    held_out: tuple[float, ...] | None = None
    rows: int = 0
    """Number of rows of the last phase."""
    method: Method = "Levenberg-Marquardt"

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


def draw(net: nn.Module, start: int, seed: int, *, norms: bool) -> None:
    """Give a network new random weights from its own seed, in place; no global state is changed.

    With `norms` the feature norms are reset too. Frozen parameters and buffers do not change.
    """
    cuda = {p.device for p in net.parameters() if p.device.type == "cuda"}
    with torch.random.fork_rng(devices=cuda), frozen_kept(net):
        torch.manual_seed((seed * 1_000_003 + start) % 2**63)
        kept = norms_of_frozen_branches(net)
        for module in net.modules():
            reset = getattr(module, "reset_parameters", None)
            learned = any(p.requires_grad for p in module.parameters())
            if callable(reset) and (norms and module not in kept if isinstance(module, FeatureScaling) else learned):
                reset()


def check_dependence(candidates: Sequence[Candidate], task: Task, clock: Clock) -> float:
    """Return the smallest loss of the first candidates above 0, or 1 if it is larger.

    Raises:
        ValueError: the residuals are not 0, but do not depend on the parameters.
    """
    found = []
    with clock.stopped():
        for candidate in candidates[:2]:
            flat = FlatNet(candidate.net, task.units)
            theta, constants, misfit = flat.theta([candidate.net]), flat.constants([candidate.net]), task.fitted(flat)
            few = misfit.between(0, TRIED) if clock.limited else misfit
            value = float(few.value(theta, constants))
            slope = few.normal if method_for(flat.size) == "Levenberg-Marquardt" else few.gradient
            if value == 0 or bool(slope(theta, constants)[1].any()):
                found.append(value)
    if not found:
        raise ValueError("fit: the residual does not depend on the net that it is given; compute it with its argument")
    return min((value for value in found if 0 < value < 1), default=1.0)
