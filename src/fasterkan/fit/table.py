"""The table that is fitted: checked, in float64, on the network's device."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows with what is known of them, float64."""

    x: Tensor
    """[N, I]."""
    y: Tensor
    """[N, M]."""
    weights: Tensor
    """[N], not negative, not all 0."""

    def rows(self, index: Tensor) -> Table:
        """Return these rows alone."""
        return Table(self.x[index], self.y[index], self.weights[index])


def read_table(net: nn.Module, x: Any, y: Any, weights: Any) -> Table:
    """Return the table, checked.

    Raises:
        TypeError: something is no array of numbers.
        ValueError: shapes that do not fit each other or the network; NaN or infinity (row and column are named);
            weights that are negative or all 0.
    """
    first = next(net.parameters())
    device = first.device
    points = points_of("X", x, device, first.dtype)
    targets = _exact("y", y, device)
    if targets.dim() not in (1, 2):
        raise ValueError(f"fit: y must be [N] or [N, outputs], got {tuple(targets.shape)}")
    if len(targets) != len(points):
        raise ValueError(f"fit: X has {len(points)} rows, y has {len(targets)}; they must be the same")
    targets = targets.reshape(len(targets), -1)
    _finite("y", targets)
    if weights is None:
        return _fits(net, Table(points, targets, torch.ones(len(points), dtype=torch.float64, device=device)))
    each = _exact("weights", weights, device)
    if each.shape != (len(points),):
        raise ValueError(f"fit: weights must be one number for each of the {len(points)} rows, got {tuple(each.shape)}")
    _finite("weights", each.unsqueeze(-1))
    if bool((each < 0).any()) or not bool(each.any()):
        raise ValueError("fit: weights must not be negative, and not all 0")
    return _fits(net, Table(points, targets, each / each.max()))


def points_of(name: str, x: Any, device: torch.device, dtype: torch.dtype = torch.float64) -> Tensor:
    """Return x as rows [N, I], one at least, float64 but rounded as a network of `dtype` will see them.

    Raises:
        TypeError, ValueError: as `read_table`.
    """
    points = _exact(name, x, device)
    if points.dim() != 2:
        fix = f"; one variable is {name}[:, None]" if points.dim() == 1 else ""
        raise ValueError(f"fit: {name} must be [rows, columns], got {tuple(points.shape)}{fix}")
    if not points.numel():
        raise ValueError(f"fit: {name} is empty, {tuple(points.shape)}; one row is the least")
    _finite(name, points)
    rounded = points.to(dtype).double()
    _finite(f"{name} in {dtype}", rounded)
    return rounded


def _exact(name: str, values: Any, device: torch.device) -> Tensor:
    if not isinstance(values, Tensor):
        try:
            values = torch.from_numpy(np.asarray(values, dtype=np.float64))
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"fit: {name} must be a tensor or an array of numbers, got {type(values).__name__}"
            ) from error
    if values.is_complex():
        raise TypeError(f"fit: {name} is {values.dtype}; give real and imaginary part as two columns")
    return values.detach().to(device, torch.float64)


def _finite(name: str, values: Tensor) -> None:
    bad = (~torch.isfinite(values)).nonzero()
    if len(bad):
        row, column = bad[0].tolist()
        place = f"row {row}" if name == "weights" else f"row {row}, column {column}"
        more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
        raise ValueError(
            f"fit: {name} is {float(values[row, column])} in {place}{more} (counted from 0); remove or fill such rows"
        )


def _fits(net: nn.Module, table: Table) -> Table:
    """The table, if its numbers of columns are those of the network's inputs and outputs."""
    widths = _ends(net)
    if widths is not None:
        for name, got, expected, what in (
            ("X", table.x.shape[1], widths[0], "inputs"),
            ("y", table.y.shape[1], widths[1], "outputs"),
        ):
            if got != expected:
                raise ValueError(f"fit: {name} has {got} columns, the network has {expected} {what}")
    return table


def _ends(net: nn.Module) -> tuple[int, int] | None:
    """The network's numbers of inputs and outputs, where they can be told without running it."""
    widths = getattr(net, "layers_hidden", None)
    if isinstance(widths, tuple | list):
        return int(widths[0]), int(widths[-1])
    if isinstance(net, nn.Sequential) and len(net):
        first, last = _ends(net[0]), _ends(net[-1])
        return None if first is None or last is None else (first[0], last[1])
    ends = getattr(net, "in_features", None), getattr(net, "out_features", None)
    return (ends[0], ends[1]) if isinstance(ends[0], int) and isinstance(ends[1], int) else None
