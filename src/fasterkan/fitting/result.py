"""What a fit tells: each phase with its networks, why it stopped, and how well rows held out are met."""

from __future__ import annotations

import dataclasses
from typing import Literal

from torch import nn

Stopped = Literal["converged", "held-out error stopped falling", "time", "iterations"]

PhaseName = Literal["starts", "smoothness", "grid", "polish"]


@dataclasses.dataclass(frozen=True)
class Attempt:
    """One network of a phase."""

    start: int
    """Number of the start it came from; 0 is the first."""
    smoothness: float
    """Strength of its smoothness penalty."""
    loss: float
    """Root of twice its mean loss over the fitted rows and all outputs, penalties left out: for "squared" the RMSE, in
    units of y."""
    held_out: float | None
    """The same over the rows held out; None if there are none."""


@dataclasses.dataclass(frozen=True)
class Phase:
    """One phase: some networks of one grid, fitted side by side."""

    name: PhaseName
    """What it decided: which start, how smooth, if a finer grid pays; "polish" fits the chosen network to all rows."""
    grid: int | None
    """The count of the networks' bases (grid_size, num_grids, degree, ...); None where they have none in common."""
    attempts: tuple[Attempt, ...]
    """The networks, the best first."""
    iterations: int
    """Jacobians, or gradients of L-BFGS."""
    seconds: float
    """Time it took."""

    @property
    def best(self) -> Attempt:
        """The network that was kept."""
        return self.attempts[0]


@dataclasses.dataclass(frozen=True)
class FitResult:
    """A finished fit; the network holds the best that was found.

    Attributes:
        net: the network that was given, fitted.
        stopped: why it ended: "converged" (the loss fell no further), "held-out error stopped falling" (finer grids
            were no better, and the best one was kept), "time" (`seconds` ran out), "iterations" (the last phase used
            all).
        loss: root of twice the mean loss over the fitted rows and all outputs: for "squared" the RMSE, in units of y.
            Outputs of large numbers then outweigh those of small ones; the fit itself weighs outputs of any size alike,
            and so it chooses.
        held_out: the same over the rows held out, before the final polish on all rows; None if there were none.
        grid: the count of the bases that the network now has.
        smoothness: strength of the smoothness penalty that was chosen.
        phases: what happened, in order.
        seconds: time of the whole fit.
    """

    net: nn.Module
    stopped: Stopped
    loss: float
    held_out: float | None
    grid: int | None
    smoothness: float
    phases: tuple[Phase, ...]
    seconds: float

    @property
    def cut_by_clock(self) -> bool:
        """True if time ran out: then another run, or another machine, may end elsewhere, whatever the seed."""
        return self.stopped == "time"

    def __str__(self) -> str:
        out = "" if self.held_out is None else f", held out {self.held_out:.3g}"
        grid = "" if self.grid is None else f", grid {self.grid}"
        lines = [
            f"loss {self.loss:.3g}{out}{grid}, smoothness {self.smoothness:.0e}, {self.seconds:.1f} s: {self.stopped}"
        ]
        for phase in self.phases:
            best = phase.best
            held = "" if best.held_out is None else f", held out {best.held_out:.3g}"
            size = "" if phase.grid is None else f" {phase.grid}"
            lines.append(
                f"  {phase.name}{size}: {len(phase.attempts)} side by side, {phase.iterations} iterations, "
                f"{phase.seconds:.1f} s, loss {best.loss:.3g}{held}"
            )
        return "\n".join(lines)
