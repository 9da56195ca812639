"""The choice of a network's shape for a table, by quick fits of small networks."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from .._arrays import array_of, check_finite
from .._check import real_number
from .._device import exact_on_cpu
from ..bases import Basis, BSpline
from ..fitting import fit as second_order
from ..models import KAN
from ._walk import varying_columns
from .pruning.loss import hold_out

LEAST = 20
"""Smallest number of rows of a table."""
ROUNDING = 1e-12
"""Errors below this, in units of the targets' deviation, are rounding errors and do not tell shapes apart."""


@dataclasses.dataclass(frozen=True)
class Trial:
    """One shape and its result."""

    widths: tuple[int, ...]
    """Numbers of inputs, hidden nodes and outputs."""
    parameters: int
    """Number of learned parameters."""
    error: float
    """Root mean square error on held-out rows, divided by their standard deviation: 0 is perfect, 1 is as good as the
    mean.

    For a target that is constant on these rows, the unit is the standard deviation of all rows, or else its size.
    """
    seconds: float
    """Time of the fit."""


@dataclasses.dataclass(frozen=True)
class Widths:
    """The outcome of `auto_width`; `str` is a table.

    Attributes:
        best: the smallest shape that is nearly as good as the best one.
        trials: all fitted shapes, from small to large.
    """

    best: tuple[int, ...]
    trials: tuple[Trial, ...]

    def __str__(self) -> str:
        lines = [f"{'widths':<20}{'parameters':>11}{'held-out error':>16}{'seconds':>9}"]
        for trial in self.trials:
            mark = "  <- best" if trial.widths == self.best else ""
            shape = str(list(trial.widths))
            lines.append(f"{shape:<20}{trial.parameters:>11,}{trial.error:>16.3g}{trial.seconds:>9.1f}{mark}")
        return "\n".join(lines)


def auto_width(
    X: Tensor,
    y: Tensor,
    *,
    shapes: Sequence[Sequence[int]] | None = None,
    basis: Basis | None = None,
    margin: float = 0.2,
    fit: Callable[[KAN, Tensor, Tensor], object] | None = None,
    seed: int = 0,
) -> Widths:
    """Try network shapes, from small to large, and return their held-out errors and the recommended shape.

    Each shape is fitted quickly to four fifths of the rows, with norm="feature" and a SiLU base branch, in float64. The
    error is measured on the other rows. If two larger shapes in a row are not better, the remaining shapes are not
    tried.

    Args:
        X: rows [N, I], at least 20.
        y: targets [N] or [N, O], numbers.
        shapes: widths to try, inputs and outputs included; default [I, O], then one hidden layer of 1, 2, 3, 5 and
            2 I + 1 (at most 12), then [I, 3, 2, O] and [I, 5, 5, O].
        basis: basis of all networks; default `BSpline(grid_size=5)`.
        margin: the recommended shape is the smallest one whose error is at most 1 + margin times the smallest error.
            Errors below 1e-12 of the targets' deviation count as equal.
        fit: fit(net, X, y) trains a network in place; default `fk.fit` with two starts and one grid.
        seed: seed of the held-out rows and of the initial weights.

    Raises:
        TypeError, ValueError: X or y cannot be used, or a shape does not fit them.

    Example:
        >>> auto_width(torch.rand(100, 2), torch.rand(100), shapes=[[2, 1]]).best
        (2, 1)
    """
    x, target = _table(X, y)
    if real_number("auto_width", "margin", margin) < 0:
        raise ValueError(f"auto_width: margin must not be negative, got {margin}")
    tried = _shapes(x.shape[1], target.shape[1]) if shapes is None else [tuple(shape) for shape in shapes]
    if not tried:
        raise ValueError("auto_width: shapes is empty; give at least one shape, or leave the argument out")
    if bad := [shape for shape in tried if len(shape) < 2]:
        raise ValueError(f"auto_width: shape {list(bad[0])} is too short; give inputs, hidden nodes and outputs")
    if bad := [shape for shape in tried if (shape[0], shape[-1]) != (x.shape[1], target.shape[1])]:
        raise ValueError(f"auto_width: shape {bad[0]} does not fit {x.shape[1]} columns and {target.shape[1]} targets")
    kept, held = hold_out(len(x), 0.2, seed)
    spread = _spread(target, held)
    trials: list[Trial] = []
    for shape in tried:
        start = time.perf_counter()
        generator = torch.Generator("cpu").manual_seed(seed)
        chosen = BSpline(grid_size=5) if basis is None else basis
        net = KAN(shape, chosen, norm="feature", base="silu", device="cpu", dtype=torch.float64, generator=generator)
        net.calibrate(x[kept])
        (_quick if fit is None else fit)(net, x[kept], target[kept])
        net.eval()
        with torch.no_grad():
            residual = (net(x[held]) - target[held]) / spread
        error = float(residual.square().mean().sqrt())
        count = sum(parameter.numel() for parameter in net.parameters())
        trials.append(Trial(shape, count, error if error == error else float("inf"), time.perf_counter() - start))
        if shapes is None and len(trials) > 3 and min(t.error for t in trials[-2:]) > min(t.error for t in trials[:-2]):
            break
    least = max(ROUNDING, min(trial.error for trial in trials))
    best = next(trial for trial in sorted(trials, key=lambda t: t.parameters) if trial.error <= (1 + margin) * least)
    return Widths(best.widths, tuple(trials))


def _quick(net: KAN, x: Tensor, y: Tensor) -> None:
    second_order(net, x, y, starts=2, grids=None, iterations=40, progress=False)


def _spread(target: Tensor, held: Tensor) -> Tensor:
    """The unit of each output's error, [O]."""
    size = target.abs().amax(0)
    size = torch.where(size > 0, size, 1)
    unit = target / size
    deviation = torch.where(varying_columns(target[held]), unit[held].std(0, correction=0), unit.std(0, correction=0))
    return torch.where(varying_columns(target), deviation, 1) * size


def _shapes(inputs: int, outputs: int) -> list[tuple[int, ...]]:
    hidden = sorted({1, 2, 3, 5, min(12, 2 * inputs + 1)})
    deep = [(inputs, 3, 2, outputs), (inputs, 5, 5, outputs)]
    shapes = [(inputs, outputs), *((inputs, h, outputs) for h in hidden), *deep]
    return sorted(shapes, key=lambda shape: sum(a * b for a, b in pairwise(shape)))


def _table(X: Any, y: Any) -> tuple[Tensor, Tensor]:
    """The rows and targets as float64 [N, I] and [N, O]."""
    x, target = (exact_on_cpu(array_of("auto_width", name, part)) for name, part in (("X", X), ("y", y)))
    target = target.unsqueeze(1) if target.dim() == 1 else target
    if x.dim() != 2 or target.dim() != 2 or len(x) != len(target):
        raise ValueError(f"auto_width: X {list(x.shape)} and y {list(target.shape)} must be [N, I] and [N] or [N, O]")
    if len(x) < LEAST:
        raise ValueError(f"auto_width: X has {len(x)} rows, at least {LEAST} are needed")
    for name, part in (("X", x), ("y", target)):
        check_finite("auto_width", name, part)
    return x, target
