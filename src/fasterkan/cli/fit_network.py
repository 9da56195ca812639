"""The network that `fasterkan fit` makes for a table, and its fit."""

from __future__ import annotations

import dataclasses
import time
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor

from ..bases import RSWAF, Basis, BSpline, Gaussian, Hat
from ..fitting import FitObserver, FitResult, fit
from ..fitting.losses import LossName, spread
from ..interpret import Widths, auto_width
from ..interpret.widths import Trial
from ..models import KAN
from .fit_columns import ChosenTable
from .options import numbers

BASES = ("bspline", "rswaf", "gaussian", "hat")
LOSSES = ("squared", "huber", "logistic")
HIDDEN = ((), (1,), (2,), (3,), (5,), (3, 2))
"""Hidden layers that --width auto tries."""
LABEL_MARGIN = 0.05
"""How much worse than the best a smaller shape may be that tells labels apart; most of its error is noise."""
LABEL_SPARSITY = 1e-3
"""Keeps the logits of labels that can be told apart without an error from growing without end."""
MOST_EDGES = 80
"""Of the networks that are tried; larger ones take long."""
TRIED_ROWS = 1000
FALLBACK = (3,)
"""Hidden layers where the table has too many columns to try some, or too few rows."""


@dataclasses.dataclass(frozen=True)
class NetworkOptions:
    """The options as they were written."""

    width: str
    basis: str
    grid: str
    degree: int | None
    loss: str | None
    seed: int
    seconds: float | None
    sparsity: float | None

    def check(self) -> None:
        """Refuse what no network can be made of, before a table is read.

        Raises:
            ValueError: an unknown word, or numbers outside their domain.
        """
        if self.loss not in (None, *LOSSES):
            raise ValueError(f"--loss: unknown {self.loss!r}; known: {', '.join(LOSSES)}")
        if self.seconds is not None and not self.seconds > 0:
            raise ValueError(f"--seconds must be above 0, got {self.seconds}")
        if self.degree is not None and self.basis != "bspline":
            raise ValueError(f"--degree is of --basis bspline, not of {self.basis}")
        if self.width not in ("auto", "none") and any(w < 1 for w in numbers(int, "width", self.width)):
            raise ValueError(f'--width: {self.width!r}; give whole numbers above 0, such as 5 or 5,3, "none" or "auto"')
        self.make_basis()

    def grids(self) -> tuple[int, ...]:
        """The grids that were asked for."""
        found: tuple[int, ...] = numbers(int, "grid", self.grid)
        if min(found) < 2 or list(found) != sorted(set(found)):
            raise ValueError(f"--grid: {self.grid!r}; give a whole number from 2 on, or some that increase, 3,6,12")
        return found

    def make_basis(self, count: int | None = None) -> Basis:
        """The basis, on the finest grid or another."""
        size = count or self.grids()[-1]
        if self.basis == "bspline":
            return BSpline(grid_size=size, degree=5 if self.degree is None else self.degree, outside="linear")
        kinds = {"rswaf": RSWAF, "gaussian": Gaussian, "hat": Hat}
        if self.basis not in kinds:
            raise ValueError(f"--basis: unknown {self.basis!r}; known: {', '.join(BASES)}")
        return cast(Basis, kinds[self.basis](num_grids=size))


@dataclasses.dataclass(frozen=True)
class FittedNetwork:
    """A fitted network, how it came about, and what was tried before."""

    net: KAN
    outcome: FitResult
    widths: Widths | None
    summary: dict[str, Any]
    delta: float | None
    """Of the Huber loss, in units of y; None of several targets, which each have their own."""
    sparsity: float


def fit_network(chosen: ChosenTable, options: NetworkOptions, observer: FitObserver | None) -> FittedNetwork:
    """Return the network fitted to the chosen rows.

    Args:
        chosen: columns and rows.
        options: of the network, checked.
        observer: hears of the fit; None shows a bar.
    """
    started = time.perf_counter()
    x, y = chosen.rows.x, chosen.rows.y
    loss = cast(LossName, chosen.fitted.loss)
    usual = LABEL_SPARSITY if loss == "logistic" else 0.0
    pull = usual if options.sparsity is None else options.sparsity
    delta = spread(y) / 10 if loss == "huber" and y.shape[1] == 1 else None  # of several, each has its own
    tried = _tried(x, y, options, loss, pull) if options.width == "auto" else None
    if tried is not None:
        widths: tuple[int, ...] = tried.best
    else:
        fixed = {"none": (), "auto": FALLBACK}
        hidden = fixed[options.width] if options.width in fixed else numbers(int, "width", options.width)
        widths = (x.shape[1], *hidden, y.shape[1])
    generator = torch.Generator("cpu").manual_seed(options.seed)
    basis = options.make_basis()
    net = KAN(widths, basis, norm="feature", base="silu", device="cpu", dtype=torch.float64, generator=generator)
    net.set_names(chosen.fitted.input_names, chosen.fitted.output_names)
    grids = options.grids()
    left = None if options.seconds is None else max(0.1, options.seconds - (time.perf_counter() - started))
    outcome = fit(
        net,
        x,
        y,
        loss=loss,
        delta=delta,
        sparsity=pull,
        grids=grids if len(grids) > 1 else "auto",
        seed=options.seed,
        seconds=left,
        observer=observer,
    )
    net.eval()
    summary = {
        "stopped": outcome.stopped,
        "loss": outcome.loss,
        "held_out": outcome.held_out,
        "seconds": time.perf_counter() - started,
        "widths": list(widths),
    }
    return FittedNetwork(net, outcome, tried, summary, delta, pull)


def _tried(x: Tensor, y: Tensor, options: NetworkOptions, loss: LossName, sparsity: float) -> Widths | None:
    """Some shapes with their held-out errors; None where the table is too wide or too short to try any."""
    ends = x.shape[1], y.shape[1]
    shapes = [(ends[0], *hidden, ends[1]) for hidden in HIDDEN]
    shapes = [shape for shape in shapes if sum(a * b for a, b in pairwise(shape)) <= MOST_EDGES]
    if len(shapes) < 3 or len(x) < 20:
        return None
    order = torch.randperm(len(x), generator=torch.Generator("cpu").manual_seed(options.seed), device="cpu")
    chosen = order[:TRIED_ROWS]
    basis = options.make_basis(min(5, options.grids()[-1]))
    deadline = None if options.seconds is None else time.perf_counter() + options.seconds / 3

    def quick(net: KAN, rows: Tensor, targets: Tensor) -> FitResult:
        left = None if deadline is None else max(0.05, deadline - time.perf_counter())
        return fit(
            net,
            rows,
            targets,
            loss=loss,
            sparsity=sparsity,
            starts=2,
            grids=None,
            iterations=40,
            polish=loss != "logistic",
            seed=options.seed,
            seconds=left,
        )

    if loss != "logistic":
        return auto_width(x[chosen], y[chosen], shapes=shapes, basis=basis, fit=quick, seed=options.seed)
    trials = []
    for shape in shapes:
        generator = torch.Generator("cpu").manual_seed(options.seed)
        net = KAN(shape, basis, norm="feature", base="silu", device="cpu", dtype=torch.float64, generator=generator)
        outcome = quick(net, x[chosen], y[chosen])
        error = outcome.loss if outcome.held_out is None else outcome.held_out
        trials.append(Trial(shape, sum(p.numel() for p in net.parameters()), error, outcome.seconds))
    good = (1 + LABEL_MARGIN) * min(trial.error for trial in trials)
    best = min((trial for trial in trials if trial.error <= good), key=lambda trial: trial.parameters)
    return Widths(best.widths, tuple(trials))
