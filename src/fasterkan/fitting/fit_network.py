"""fk.fit: a second-order fit for small networks, to a table or to equations."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from .._check import positive_number, real_number, whole_number
from .candidates import Task
from .flat import FlatNet
from .grids import Grids, resolve_grids, take_over
from .losses import Huber, Logistic, Loss, LossName, can_be_scaled, resolve_loss, scaled_loss
from .objective import Misfit
from .observers import FitObserver, watching
from .residual import Equations, misfit_of
from .result import FitResult
from .rows import Rows
from .scaling import TargetScale
from .search import FitSearch, Plan
from .split import split_rows
from .table import Table, check_inputs, points_of, read_table


def fit(
    net: nn.Module,
    X: Any = None,
    y: Any = None,
    *,
    residual: Equations | None = None,
    weights: Any = None,
    loss: LossName | Loss = "squared",
    delta: float | None = None,
    starts: int = 8,
    grids: Grids = "auto",
    smoothness: float | Literal["auto"] = "auto",
    sparsity: float = 0.0,
    held_out: float | Equations = 0.2,
    polish: bool = True,
    seed: int = 0,
    seconds: float | None = None,
    iterations: int = 60,
    progress: bool | None = None,
    observer: FitObserver | None = None,
) -> FitResult:
    """Fit a small network, in place, by Levenberg-Marquardt in float64: to a table X, y, or to equations.

    Several starts are fitted side by side on the coarsest grid and thinned out by their error on rows held out; the
    best goes on with several strengths of smoothness, then from grid to finer grid as long as the held-out error
    falls; at the end it is fitted to all rows. The targets are brought to variance 1 inside and the last layer is
    scaled back. Feature norms are set by X and frozen. The network keeps its dtype and device; parameters that are
    frozen (`requires_grad_(False)`) and buffers such as BatchNorm's stay exactly as they are.

    Args:
        net: a KAN, a KANLinear, or any module whose rows do not depend on each other; small (a few thousand
            parameters). Above `fasterkan.fitting.MOST_PARAMETERS` of them L-BFGS takes over.
        X: [N, I], a tensor or an array. With `residual`, points of the domain that set the feature norms.
        y: [N] or [N, M]; for loss "logistic" probabilities or 0 and 1, the network's outputs being logits.
        residual: instead of y: fn(net) -> residuals of any shape, or a list of (fn, points) or (fn, points, weight)
            with fn(net, x) -> [n] or [n, M] for points x [n, I], each row depending on its own point only: many times
            faster. net is then a float64 copy: give points in float64; differentiate with `torch.func`. The loss is
            the mean over each function's residuals, summed over functions times their weights.
        weights: of the rows, [N], not negative; a row of weight 0 might as well not be there.
        loss: "squared", "huber", "logistic", or an object such as `Huber(0.1)`
            (`from fasterkan.fitting import Huber`).
        delta: of "huber", in units of y; default a tenth of y's interquartile range (with `residual`: 1).
        starts: how many random networks compete; the first is not the given one. 0: only the network as it is, on its
            own grid, its weights being the start: to go on after pruning, say.
        grids: counts of the bases to go through, increasing ((3, 6, 12), of grid_size, num_grids, degree or
            num_frequencies); the network ends with one of them, `result.grid`. "auto": the network's own count and its
            halves down to 3. None: its own only.
        smoothness: strength of the penalty on mean f''^2 of the edges, their grids' range being [-1, 1] and y of
            variance 1. "auto" chooses it on rows held out (with `residual`: 0).
        sparsity: strength of a penalty on the size of each edge, which switches edges off; 0.001 to 0.1 are usual.
        held_out: fraction of the rows on which choices are made, 0 to 0.5; tables of fewer than 10 different rows hold
            out none. With `residual`: further equations of the same form, or a fraction, which means none.
        polish: fit the chosen network to all rows at the end, until the loss falls no further.
        seed: of starts and of the choice of rows; the same seed gives the same network, unless the clock cut it.
        seconds: time that may be used; the best so far is kept. None: no limit.
        iterations: of each phase at most; a phase ends before if the loss stops falling.
        progress: a bar on stderr; None: if it is a terminal.
        observer: hears of the fit instead.

    Returns:
        What was tried and found, and why it stopped; `result.net` is net.

    Raises:
        TypeError, ValueError: tables that hold NaN or infinity (row and column are named), shapes that do not fit,
            arguments outside their domains, a network whose outputs are not finite or whose dtype is too small for
            what was fitted, residuals that do not depend on the net they are given. The network is then as it was.
        RuntimeError: feature norms that are not calibrated, and no points to do it with.

    Source: Levenberg (1944), Marquardt (1963); grids from coarse to fine as Liu et al., KAN (arXiv 2404.19756).

    Example:
        >>> x = torch.rand(500, 2) * 2 - 1
        >>> net = KAN([2, 2, 1], basis=BSpline(grid_size=6), norm="feature", base="silu")
        >>> fit(net, x, x[:, 0] * x[:, 1]).held_out < 1e-3
        True
    """
    started = time.perf_counter()
    budget = math.inf if seconds is None else positive_number("fit", "seconds", seconds)
    plan = _plan(net, grids, starts, seed, smoothness, iterations, equations=residual is not None)
    wanted = resolve_loss(loss, delta)
    if not isinstance(polish, bool):
        raise TypeError(f"fit: polish must be True or False, got {polish!r}")
    pull = real_number("fit", "sparsity", sparsity)
    if pull < 0:
        raise ValueError(f"fit: sparsity must not be negative, got {sparsity}")
    if residual is not None:
        if y is not None or weights is not None:
            raise ValueError("fit: give y (and weights) or residual, not both")
        task = _equations(net, X, residual, held_out, Huber(1.0) if wanted is None else wanted, pull)
        full, scale = task if polish else None, None
    else:
        if X is None or y is None:
            raise ValueError("fit: give X and y, or residual=fn")
        if not isinstance(held_out, int | float):
            raise TypeError(f"fit: held_out must be a fraction of the rows from 0 to 0.5, got {held_out!r}")
        table = read_table(net, X, y, weights)
        if isinstance(wanted, Logistic) and not bool(((table.y >= 0) & (table.y <= 1)).all()):
            raise ValueError("fit: with loss='logistic' y must lie between 0 and 1")
        scale = TargetScale.of(net, table, wanted=can_be_scaled(wanted))
        inside = scale.inside(table)
        chosen = scaled_loss(wanted, scale.scale, inside.y)
        task, full = _tables(inside, chosen, float(held_out), plan.seed, pull, polish)
    unit = _own_unit if scale is None else scale.unit
    with torch.enable_grad(), watching(observer, progress) as watcher:
        search = FitSearch(net, task, full, plan, lambda: time.perf_counter() - started > budget, watcher, unit, scale)
        stopped = search.run()
        best = search.best
        take_over(net, best.net)
        held = None if best.held_out is None else unit(best.held_out)
        seconds_used = time.perf_counter() - started
        result = FitResult(
            net, stopped, unit(best.train), held, search.grid, best.smoothness, tuple(search.phases), seconds_used
        )
        watcher.on_end(result)
    return result


def _plan(
    net: nn.Module, grids: Grids, starts: int, seed: int, smoothness: object, iterations: int, *, equations: bool
) -> Plan:
    """The plan, checked."""
    if not isinstance(net, nn.Module):
        raise TypeError(f"fit: net must be a torch module such as fk.KAN([2, 5, 1]), got {type(net).__name__}")
    if not any(p.requires_grad for p in net.parameters()):
        raise ValueError(f"fit: {type(net).__name__} has no parameter to learn")
    strength: float | None
    if isinstance(smoothness, str):
        if smoothness != "auto":
            raise ValueError(f'fit: smoothness must be "auto" or a number, got {smoothness!r}')
        strength = 0.0 if equations else None
    else:
        strength = real_number("fit", "smoothness", smoothness)
        if strength < 0:
            raise ValueError(f"fit: smoothness must not be negative, got {smoothness}")
    count = whole_number("fit", "starts", starts, 0)
    return Plan(
        counts=resolve_grids(net, grids if count else None),
        starts=count,
        seed=whole_number("fit", "seed", seed, 0),
        smoothness=strength,
        iterations=whole_number("fit", "iterations", iterations, 1),
    )


def _tables(
    table: Table, loss: Loss, held_out: float, seed: int, sparsity: float, polish: bool
) -> tuple[Task, Task | None]:
    """The task with rows held out, and the one with all rows."""
    kept, out = split_rows(table, held_out, seed)

    def rows(part: Table) -> Callable[[FlatNet], Misfit]:
        return lambda flat: Rows(flat, _call, part.x, part.y, part.weights, loss)

    full = Task(rows(table), None, table.x, sparsity)
    task = Task(rows(table.rows(kept)), rows(table.rows(out)), table.x, sparsity) if len(out) else full
    return task, full if polish else None


def _equations(
    net: nn.Module, X: Any, residual: Equations, held_out: float | Equations, loss: Loss, sparsity: float
) -> Task:
    build, points = misfit_of(net, residual, loss)
    if X is not None:
        points = points_of("X", X, next(net.parameters()).device)
        check_inputs(net, points)
    others = None if isinstance(held_out, int | float) else misfit_of(net, held_out, loss)[0]
    return Task(build, others, points, sparsity)


def _own_unit(losses: Sequence[float]) -> float:
    return math.sqrt(2 * sum(losses))


def _call(net: nn.Module, x: Tensor) -> Tensor:
    return net(x)
