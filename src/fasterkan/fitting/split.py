"""Held-out rows, which decide starts, grids and smoothness."""

from __future__ import annotations

import torch
from torch import Tensor

from .._check import real_number
from .table import Table

LEAST = 10
"""Smallest number of different rows; with fewer, no row is held out."""


def split_rows(table: Table, fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """Return the indices of the fitted rows and of the held-out rows; tiny tables have no held-out rows.

    Equal rows of x stay together, so no held-out row is also fitted.

    Args:
        table: the rows.
        fraction: fraction of the different rows to hold out, from 0 (none) to 0.5.
        seed: seed of the random choice.

    Raises:
        TypeError, ValueError: the fraction lies outside its domain.
    """
    if not 0 <= real_number("fit", "held_out", fraction) <= 0.5:
        raise ValueError(f"fit: held_out must be a fraction from 0 to 0.5, got {fraction}")
    x = table.x.cpu()
    group = _equal_rows(x)
    groups = int(group.max()) + 1
    count = round(fraction * groups)
    everything = torch.arange(len(x), device="cpu")
    if groups < LEAST or count == 0:
        return everything, everything[:0]
    order = torch.randperm(groups, generator=torch.Generator("cpu").manual_seed(seed % 2**63), device="cpu")
    chosen = torch.zeros(groups, dtype=torch.bool, device="cpu")
    chosen[order[:count]] = True
    out = chosen[group]
    return everything[~out], everything[out]


def _equal_rows(x: Tensor) -> Tensor:
    """Number the different rows of x [N, I] in their lexicographic order, [N]: `torch.unique(x, dim=0)`, but faster."""
    group = torch.zeros(len(x), dtype=torch.int64, device="cpu")
    for column in x.unbind(1):
        _, rank = torch.unique(column, return_inverse=True)
        _, group = torch.unique(group * len(x) + rank, return_inverse=True)
        if int(group.max()) + 1 == len(x):
            break
    return group
