"""fk.fit: a second-order fit of small networks to a table or to equations."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from .._check import positive_number, real_number, whole_number
from .._device import exact_device
from ..nn import KANLayer
from ..nn.computed import check_not_computed, check_not_shared
from .candidates import Task
from .clock import Clock
from .effort import ROWS
from .flat import FlatNet
from .grids import Grids, resolve_grids, take_over
from .last_layer import last_layer
from .losses import Huber, Logistic, Loss, LossName, resolve_loss
from .names import name_after
from .norms import calibration_rows
from .objective import Misfit
from .observers import FitObserver, watching
from .probe import probe_of
from .residual import Equations, misfit_of
from .result import FitResult
from .rows import Rows
from .scaling import TargetScale
from .search import FitSearch, Plan
from .split import split_rows
from .table import Table, check_inputs, points_of, read_table
from .units import Units, input_sizes, units_of


@torch.inference_mode(False)
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

    Several random starts are fitted in parallel on the coarsest grid, and the worse ones are dropped by their error on
    held-out rows. The best start continues with several strengths of smoothness. Then the grid is refined as long as
    the held-out error falls. At the end the network is fitted to all rows. Inside the fit the targets have variance 1;
    afterwards the last layer is scaled back. Feature norms are set from X and frozen. The network keeps its dtype and
    device. Frozen parameters (`requires_grad_(False)`) and buffers such as those of BatchNorm do not change.

    Args:
        net: a KAN, a KANLinear, or any module that computes each row independently. It should be small (a few thousand
            parameters). Above `fasterkan.fitting.MOST_PARAMETERS` parameters L-BFGS is used.
        X: [N, I], a tensor or an array. With `residual`, it holds points of the domain, which set the feature norms.
            Names of columns of a data frame become the names of the network's inputs, and those of y the names of its
            outputs (`set_names`).
        y: [N] or [N, M]. For loss "logistic", y holds probabilities (or 0 and 1), and the network's outputs are logits.
        residual: equations instead of y: fn(net) -> residuals of any shape, or a list of (fn, points) or (fn, points,
            weight) with fn(net, x) -> [n] or [n, M] for points x [n, I]. In a list each row must depend on its own
            point only; this form is many times faster. In both forms net is a float64 copy: give points in float64, and
            differentiate with `torch.func`. The loss is the mean over the residuals of each function, times its weight,
            summed over the functions.
        weights: weights of the rows, [N], not negative; a row of weight 0 is left out.
        loss: "squared", "huber", "logistic", or an object such as `Huber(0.1)`
            (`from fasterkan.fitting import Huber`).
        delta: the delta of "huber", in units of y; default a tenth of the interquartile range of y (with `residual`:
            1).
        starts: number of networks with new random weights that compete; the present weights of net are not used. With
            0, the fit continues from the present weights on the present grid, for example after pruning.
        grids: counts of the bases, increasing, such as (3, 6, 12), for grid_size, num_grids, degree or num_frequencies.
            The network ends with one of them, `result.grid`. "auto" takes the network's own count and its halves down
            to 3. None takes its own count only.
        smoothness: strength of the penalty on the mean f''^2 of the edges, for grids scaled to [-1, 1] and y scaled to
            variance 1. "auto" chooses it on held-out rows (with `residual` it is 0).
        sparsity: strength of a penalty on the size of each edge, which switches edges off. Usual values are 0.001 to
            0.1.
        held_out: fraction of the rows, 0 to 0.5, that is used for all choices and not fitted. Tables of fewer than 10
            different rows hold out none. With `residual`: further equations of the same form; a fraction then holds out
            none.
        polish: at the end, fit the chosen network to all rows until the loss stops falling.
        seed: seed of the starts and of the held-out rows. The same seed gives the same network, unless `seconds` ended
            the fit.
        seconds: time limit, at least about 1; None means no limit. Costs are measured, and the fit does what the time
            allows: fewer starts and strengths, fewer rows at first, or Adam instead of a second-order method. The best
            network so far is kept.
        iterations: most iterations of each phase; a phase ends earlier if the loss stops falling.
        progress: whether to show a bar on stderr; with None, only if stderr is a terminal.
        observer: receives the events of the fit; there is no bar then.

    Returns:
        A summary: what was tried, the errors, and why the fit stopped. `result.net` is net.

    Raises:
        TypeError, ValueError: a table holds NaN or infinity (row and column are named), shapes do not match, an
            argument lies outside its domain, the network's outputs are not finite, its dtype cannot hold the fitted
            numbers, or the residuals do not depend on the net. The network is then unchanged.
        RuntimeError: a feature norm is not calibrated, and there are no points to calibrate it; a tensor of net is
            computed by a parametrisation or a hook, or is sharded; a weight or grid belongs to two layers.

    Source: Levenberg (1944), Marquardt (1963); grids from coarse to fine as in Liu et al., KAN (arXiv 2404.19756).

    Example:
        >>> x = torch.rand(500, 2) * 2 - 1
        >>> net = KAN([2, 2, 1], basis=BSpline(grid_size=6), norm="feature", base="silu")
        >>> fit(net, x, x[:, 0] * x[:, 1]).held_out < 1e-3
        True
    """
    clock = Clock(None if seconds is None else positive_number("fit", "seconds", seconds))
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
        task = _equations(net, X, residual, held_out, Huber(1.0) if wanted is None else wanted, pull, clock)
        full, scale = task if polish else None, None
    else:
        if X is None or y is None:
            raise ValueError("fit: give X and y, or residual=fn")
        if not isinstance(held_out, int | float):
            raise TypeError(f"fit: held_out must be a fraction of the rows from 0 to 0.5, got {held_out!r}")
        table = read_table(net, X, y, weights)
        if isinstance(wanted, Logistic) and not bool(((table.y >= 0) & (table.y <= 1)).all()):
            raise ValueError("fit: with loss='logistic' y must lie between 0 and 1")
        probe, few = probe_of(net, table.x)
        sizes = input_sizes(probe, few)
        last = last_layer(probe, few, sizes)
        scale = TargetScale.of(last, last is not None and last.bias(net) is not None, table, wanted)
        units = units_of(net, sizes, scale, next(net.parameters()).dtype)
        task, full = _tables(scale.inside(table), scale.loss, float(held_out), plan.seed, pull, polish, units, clock)
    unit = _own_unit if scale is None else scale.unit
    with torch.enable_grad(), watching(observer, progress) as watcher:
        search = FitSearch(net, task, full, plan, clock, watcher, unit, scale)
        stopped = search.run()
        best = search.best
        take_over(net, best.net)
        name_after(net, X, y)
        result = FitResult(
            net=net,
            stopped=stopped,
            loss=unit(best.train),
            held_out=None if best.held_out is None else unit(best.held_out),
            grid=search.grid,
            smoothness=best.smoothness,
            phases=tuple(search.phases),
            seconds=clock.elapsed(),
            rows=best.rows,
        )
        watcher.on_end(result)
    return result


def _plan(
    net: nn.Module, grids: Grids, starts: int, seed: int, smoothness: object, iterations: int, *, equations: bool
) -> Plan:
    """The plan from the checked arguments."""
    if not isinstance(net, nn.Module):
        raise TypeError(f"fit: net must be a torch module such as fk.KAN([2, 5, 1]), got {type(net).__name__}")
    if not any(p.requires_grad for p in net.parameters()):
        raise ValueError(f"fit: {type(net).__name__} has no parameter to learn")
    check_not_computed("fit", net)
    layers = [module for module in net.modules() if isinstance(module, KANLayer)]
    check_not_shared("fit", net, {layer: ("weight", *layer.basis_tensors()) for layer in layers})
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
    table: Table,
    loss: Loss,
    held_out: float,
    seed: int,
    sparsity: float,
    polish: bool,
    units: Units,
    clock: Clock,
) -> tuple[Task, Task | None]:
    """The task with rows held out, and the one with all rows."""
    kept, out = split_rows(table, held_out, seed)
    points = calibration_rows(table.x)
    if clock.limited or len(table.x) > ROWS:  # a part of the rows is then a random one
        order = torch.randperm(len(table.x), generator=torch.Generator("cpu").manual_seed(seed % 2**63), device="cpu")
        table, place = table.rows(order), torch.argsort(order)
        kept, out = place[kept].sort()[0], place[out].sort()[0]

    def rows(part: Table) -> Callable[[FlatNet], Misfit]:
        return lambda flat: Rows(flat, _call, part.x, part.y, part.weights, loss, clock=clock)

    full = Task(rows(table), None, points, sparsity, units)
    task = Task(rows(table.rows(kept)), rows(table.rows(out)), points, sparsity, units) if len(out) else full
    return task, full if polish else None


def _equations(
    net: nn.Module, X: Any, residual: Equations, held_out: float | Equations, loss: Loss, sparsity: float, clock: Clock
) -> Task:
    build, points = misfit_of(net, residual, loss, clock)
    if X is not None:
        points = points_of("X", X, exact_device(next(net.parameters()).device))
        check_inputs(net, points)
    others = None if isinstance(held_out, int | float) else misfit_of(net, held_out, loss, clock)[0]
    sizes = {} if points is None else input_sizes(*probe_of(net, points))
    return Task(build, others, points, sparsity, units_of(net, sizes, None, next(net.parameters()).dtype))


def _own_unit(losses: Sequence[float]) -> float:
    return math.sqrt(2 * sum(losses))


def _call(net: nn.Module, x: Tensor) -> Tensor:
    return net(x)
