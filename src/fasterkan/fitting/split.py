"""Rows held out: on them starts, grids and smoothness are chosen."""

from __future__ import annotations

import torch
from torch import Tensor

from .._check import real_number
from .table import Table

LEAST = 10
"""Different rows that a table must have; with fewer none is held out."""


def split_rows(table: Table, fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """Return the numbers of the rows to fit and of those held out, the latter empty for tiny tables.

    Equal rows of x stay together, so that nothing held out has been seen.

    Args:
        table: the rows.
        fraction: of the different rows, from 0 (none) to 0.5.
        seed: of the choice.

    Raises:
        TypeError, ValueError: the fraction lies outside its domain.
    """
    if not 0 <= real_number("fit", "held_out", fraction) <= 0.5:
        raise ValueError(f"fit: held_out must be a fraction from 0 to 0.5, got {fraction}")
    x = table.x.cpu()
    _, group = torch.unique(x, dim=0, return_inverse=True)
    groups = int(group.max()) + 1
    count = round(fraction * groups)
    everything = torch.arange(len(x))
    if groups < LEAST or count == 0:
        return everything, everything[:0]
    order = torch.randperm(groups, generator=torch.Generator().manual_seed(seed % 2**63))
    chosen = torch.zeros(groups, dtype=torch.bool)
    chosen[order[:count]] = True
    out = chosen[group]
    return everything[~out], everything[out]
