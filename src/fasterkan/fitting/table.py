"""The table to fit, checked, in float64, on the network's device."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor, nn

from .._arrays import array_of, check_finite, rounded
from .._device import exact_device, moved

LOST = 0.1
"""Largest rounding error of a column in the network's dtype, as a fraction of the column's spread."""
NOISE = 1e-13
"""A column that varies by less than this fraction of its size counts as constant with rounding errors of float64, if
the network's dtype cannot hold the difference."""


@dataclasses.dataclass(frozen=True)
class Table:
    """The rows with their targets and weights, float64."""

    x: Tensor
    """[N, I]."""
    y: Tensor
    """[N, M]."""
    weights: Tensor
    """[N], not negative, not all 0; `read_table` leaves out the rows of weight 0."""

    def rows(self, index: Tensor) -> Table:
        """Return the table of these rows only."""
        return Table(self.x[index], self.y[index], self.weights[index])


def read_table(net: nn.Module, x: Any, y: Any, weights: Any) -> Table:
    """Return the table, checked.

    Raises:
        TypeError: an argument is not an array of numbers.
        ValueError: shapes do not match each other or the network; a number is NaN or infinite (row and column are
            named); weights are negative or all 0.
    """
    first = next(net.parameters())
    device = exact_device(first.device)
    points = _rows("X", x, device)
    targets = _exact("y", y, device)
    if targets.dim() not in (1, 2):
        raise ValueError(f"fit: y must be [N] or [N, outputs], got {tuple(targets.shape)}")
    if len(targets) != len(points):
        raise ValueError(f"fit: X has {len(points)} rows, y has {len(targets)}; the numbers must be equal")
    targets = targets.reshape(len(targets), -1)
    each = torch.ones_like(points[:, 0]) if weights is None else _exact("weights", weights, device)
    if each.shape != (len(points),):
        raise ValueError(f"fit: weights must be one number for each of the {len(points)} rows, got {tuple(each.shape)}")
    check_finite("fit", "weights", each)
    if bool((each < 0).any()) or not bool(each.any()):
        raise ValueError("fit: weights must not be negative, and not all 0")
    counting = each > 0
    check_finite("fit", "y", targets, counting)
    table = Table(_rounded("X", points, first.dtype, counting), targets, each / each.max())
    return _fits(net, table if bool(counting.all()) else table.rows(counting.nonzero().squeeze(-1)))


def points_of(name: str, x: Any, device: torch.device, dtype: torch.dtype = torch.float64) -> Tensor:
    """Return x as one or more rows [N, I], in float64, rounded to the values that a network of `dtype` gets.

    Raises:
        TypeError, ValueError: as in `read_table`.
    """
    return _rounded(name, _rows(name, x, device), dtype)


def _rows(name: str, x: Any, device: torch.device) -> Tensor:
    points = _exact(name, x, device)
    if points.dim() != 2:
        fix = f"; one variable is {name}[:, None]" if points.dim() == 1 else ""
        raise ValueError(f"fit: {name} must be [rows, columns], got {tuple(points.shape)}{fix}")
    if not points.numel():
        raise ValueError(f"fit: {name} is empty, {tuple(points.shape)}; give at least one row")
    return points


def _rounded(name: str, points: Tensor, dtype: torch.dtype, counting: Tensor | None = None) -> Tensor:
    found = rounded("fit", name, points, dtype, counting).double()
    if dtype != torch.float64:
        _told_apart(name, points, found, dtype, counting)
    return found


def _told_apart(name: str, points: Tensor, found: Tensor, dtype: torch.dtype, counting: Tensor | None) -> None:
    """Raise ValueError for a column of large offset and small spread that `dtype` cannot hold."""
    if counting is not None:
        points, found = points[counting], found[counting]
    largest = points.abs().amax(0).clamp_min(torch.finfo(torch.float64).tiny)
    unit = (points - points[0]) / largest  # exact where the offset is large, and its squares do not overflow
    spread = unit.std(0, correction=0)
    lost = ((found - points) / largest).square().mean(0).sqrt()
    bad = ((lost > LOST * spread) & (spread > NOISE)).nonzero()
    if len(bad):
        column = int(bad[0])
        raise ValueError(
            f"fit: column {column} of {name} varies by {float(spread[column] * largest[column]):.2g} around "
            f"{float(points[:, column].mean()):.2g}, and {dtype} does not tell such numbers apart; subtract an offset "
            "from the column, or make the network with dtype=torch.float64"
        )


def _exact(name: str, values: Any, device: torch.device) -> Tensor:
    return moved(array_of("fit", name, values), device, torch.float64)


def _fits(net: nn.Module, table: Table) -> Table:
    """Return the table if its numbers of columns match the network's inputs and outputs; else raise ValueError."""
    check_inputs(net, table.x)
    widths = ends(net)
    if widths is not None and table.y.shape[1] != widths[1]:
        raise ValueError(f"fit: y has {table.y.shape[1]} columns, the network has {widths[1]} outputs")
    return table


def check_inputs(net: nn.Module, points: Tensor) -> None:
    """Raise ValueError if the network takes another number of columns, as far as this is known."""
    widths = ends(net)
    if widths is not None and points.shape[1] != widths[0]:
        raise ValueError(f"fit: X has {points.shape[1]} columns, the network has {widths[0]} inputs")


def ends(net: nn.Module) -> tuple[int, int] | None:
    """Return the network's numbers of inputs and outputs; None if they are unknown without running it."""
    widths = getattr(net, "layers_hidden", None)
    if isinstance(widths, tuple | list):
        return int(widths[0]), int(widths[-1])
    if isinstance(net, nn.Sequential) and len(net):
        first, last = ends(net[0]), ends(net[-1])
        return None if first is None or last is None else (first[0], last[1])
    first, last = getattr(net, "in_features", None), getattr(net, "out_features", None)
    return (first, last) if isinstance(first, int) and isinstance(last, int) else None
