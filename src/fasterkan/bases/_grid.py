"""Grids of points, [n] or [I, n], for families of local functions: finer grids, and points beyond the ends."""

from __future__ import annotations

import torch
from torch import Tensor


def continued(grid: Tensor, beyond: int) -> Tensor:
    """Return [..., n + 2 beyond]: the grid with more points at each end, at the distance of the last two there."""
    if not beyond:
        return grid
    steps = torch.arange(1, beyond + 1, dtype=grid.dtype, device=grid.device)
    left = grid[..., :1] - steps.flip(0) * (grid[..., 1:2] - grid[..., :1])
    right = grid[..., -1:] + steps * (grid[..., -1:] - grid[..., -2:-1])
    return torch.cat([left, grid, right], -1)


def subdivided(grid: Tensor, count: int) -> Tensor:
    """Return `count` points with the same ends, by linear interpolation of the grid at equal steps of its index.

    If count - 1 is a multiple of n - 1, all points of the grid are among the new points, to the last bit.
    """
    intervals = grid.shape[-1] - 1
    place = torch.arange(count, device=grid.device) * intervals  # in units of 1 / (count - 1): whole numbers, so exact
    index = (place // (count - 1)).clamp_max(intervals - 1)
    share = (place - index * (count - 1)).to(grid.dtype) / (count - 1)
    return torch.lerp(grid[..., index], grid[..., index + 1], share)


def mean_distance(grid: Tensor) -> Tensor:
    """Return the mean distance of neighbouring points, [1] or [I]."""
    return ((grid[..., -1:] - grid[..., :1]) / (grid.shape[-1] - 1)).flatten()


def finer_beyond(count: int, old_count: int, old_beyond: int) -> int:
    """Return how many of `count` smooth bumps should lie beyond each end of a refined grid.

    With three, refitted functions are accurate up to the ends. (This was tested for bumps with a width of 1 to 2
    distances. More than three improve only the next digit.) They take at most two thirds of the new bumps, so that the
    grid itself does not become coarser.
    """
    return max(old_beyond, min(3, (count - (old_count - 2 * old_beyond)) // 3))


def second_differences(sites: Tensor) -> Tensor:
    """Return D [..., K-2, K]: (D w)_k = (slope to the right of site k - slope to the left) * mean distance of sites.

    For equal distances this is w_{k-1} - 2 w_k + w_{k+1}. For fewer than three sites [..., K], D has no rows. Learned
    sites may coincide or cross, so a distance counts as at least 1/1000 of the mean distance.
    """
    count = sites.shape[-1]
    eye = torch.eye(count, dtype=sites.dtype, device=sites.device)
    if count < 3:
        return eye[:0].expand(*sites.shape[:-1], 0, count)
    distance = sites.diff().abs()
    mean = distance.mean(-1, keepdim=True)
    slope = (eye[1:] - eye[:-1]) / (distance.maximum(1e-3 * mean) / mean).unsqueeze(-1)  # [..., K-1, K]
    return slope.diff(dim=-2)
