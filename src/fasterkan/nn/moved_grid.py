"""The positions of grid points for given data."""

from __future__ import annotations

import torch
from torch import Tensor

_GAP = 1e-3


def moved_grid(old: Tensor, z: Tensor, mix: float, margin: float, eps: float) -> Tensor:
    """Return the grid mix * uniform + (1 - mix) * quantiles of z for each feature, from end to end of the data.

    Points stay at least 1/1000 of their mean distance apart, even if many values of the data are equal. A feature that
    is constant within the precision of the layer's dtype keeps its grid. If its value lies outside the grid, the grid
    is moved so that its middle is the value.

    Args:
        old: the present grid, [I, n].
        z: the data, [S, I], finite, at least one row, in the dtype of the grid.
        mix: share of the uniform grid, 0 to 1.
        margin: distance of the ends from the data, as a fraction of its range.
        eps: machine epsilon of the layer's dtype.

    Returns:
        The new grid [I, n], increasing.
    """
    count, z = old.shape[-1], z.T.sort(-1).values  # [I, S]
    low, high = z[:, :1], z[:, -1:]
    span = high - low
    share = torch.linspace(0, 1, count, dtype=z.dtype, device=z.device)
    first, width = low - margin * span, (1 + 2 * margin) * span
    place = share * (z.shape[-1] - 1)
    index = place.long().clamp_max(max(0, z.shape[-1] - 2))
    quantiles = torch.lerp(z[:, index], z[:, (index + 1).clamp_max(z.shape[-1] - 1)], place - index)
    quantiles[:, 0], quantiles[:, -1] = first[:, 0], (first + width)[:, 0]
    grid = _apart(mix * (first + share * width) + (1 - mix) * quantiles)
    constant = span <= count / _GAP * eps * z.abs().amax(-1, keepdim=True)
    middle, outside = (old[:, :1] + old[:, -1:]) / 2, (low < old[:, :1]) | (high > old[:, -1:])
    kept = torch.where(outside, old - middle + low, old)
    return torch.where(constant, kept, grid)


def _apart(grid: Tensor) -> Tensor:
    """The points [I, n], moved apart where they are closer than _GAP of their mean distance; the ends stay."""
    first, width = grid[:, :1], grid[:, -1:] - grid[:, :1]
    steps = _GAP * width / (grid.shape[-1] - 1) * torch.arange(grid.shape[-1], dtype=grid.dtype, device=grid.device)
    spread = (grid - steps).cummax(-1).values + steps
    reached = (spread[:, -1:] - first).clamp_min(torch.finfo(grid.dtype).tiny)
    return first + (spread - first) * (width / reached)
