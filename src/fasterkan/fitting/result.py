"""The result of a fit: its phases and their networks, why it stopped, and the errors on held-out rows."""

from __future__ import annotations

import dataclasses
from typing import Literal

from torch import nn

from .effort import Method

Stopped = Literal["converged", "held-out error stopped falling", "time", "iterations"]

PhaseName = Literal["starts", "smoothness", "grid", "rows", "polish"]


@dataclasses.dataclass(frozen=True)
class Attempt:
    """One network of a phase."""

    start: int
    """Number of the start that it comes from, counted from 0."""
    smoothness: float
    """Strength of its smoothness penalty."""
    loss: float
    """Root of twice its mean loss over the fitted rows and all outputs, without penalties. For "squared" it is the
    RMSE, in units of y."""
    held_out: float | None
    """The same over the held-out rows; None if there are none."""


@dataclasses.dataclass(frozen=True)
class Phase:
    """One phase: some networks with one grid, fitted in parallel."""

    name: PhaseName
    """The name says what the phase decides: the start, the smoothness, or a finer grid. "rows" fits to more rows, and
    "polish" to all."""
    grid: int | None
    """The count of the networks' bases (grid_size, num_grids, degree, ...); None if they do not share one count."""
    attempts: tuple[Attempt, ...]
    """The networks, the best first."""
    iterations: int
    """Number of Jacobians, of gradients of L-BFGS, or of batches of Adam."""
    seconds: float
    """Time of the phase."""
    rows: int
    """Number of rows (or points of equations) that its best network was fitted to; 1 for equations as a whole."""
    method: Method
    """The optimiser."""

    @property
    def best(self) -> Attempt:
        """The network that was kept."""
        return self.attempts[0]


@dataclasses.dataclass(frozen=True)
class FitResult:
    """A finished fit; the network has the best parameters that were found.

    Attributes:
        net: the network that was given, fitted.
        stopped: why the fit ended: "converged" (the loss stopped falling), "held-out error stopped falling" (finer
            grids were not better, and the best grid was kept), "time" (`seconds` ended a phase, or left no time for all
            networks, rows or phases), "iterations" (the last phase used all iterations).
        loss: root of twice the mean loss over the fitted rows and all outputs. For "squared" it is the RMSE, in units
            of y. It depends mostly on the outputs with the largest numbers. In the fit and its choices, outputs of any
            size count equally.
        held_out: the same over the held-out rows, before the final polish on all rows; None if there were none.
        grid: the count of the network's bases after the fit.
        smoothness: the strength of the smoothness penalty that was chosen.
        phases: the phases, in order.
        seconds: time of the whole fit.
        rows: number of rows (or points of equations) that the network was fitted to in its last phase; 1 for equations
            as a whole.
    """

    net: nn.Module
    stopped: Stopped
    loss: float
    held_out: float | None
    grid: int | None
    smoothness: float
    phases: tuple[Phase, ...]
    seconds: float
    rows: int

    @property
    def cut_by_clock(self) -> bool:
        """True if the clock changed anything; another run may then give another network, even with the same seed."""
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
                f"  {phase.name}{size}: {len(phase.attempts)} networks, {phase.iterations} iterations, "
                f"{phase.rows} rows, {phase.seconds:.1f} s, loss {best.loss:.3g}{held}"
            )
        return "\n".join(lines)
