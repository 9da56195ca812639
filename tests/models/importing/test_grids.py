"""Centres and knots as a file holds them: their ends as they were written, and whether they are evenly spaced."""

from __future__ import annotations

import pytest
import torch

from fasterkan.models.importing.grids import is_uniform, shortest


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_shortest_decimals(dtype: torch.dtype) -> None:
    assert shortest(torch.tensor(-1.25, dtype=dtype)) == -1.25
    assert shortest(torch.linspace(-1.2, 0.2, 8)[0]) == -1.2
    assert torch.tensor(shortest(torch.tensor(1 / 3, dtype=dtype)), dtype=dtype) == torch.tensor(1 / 3, dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("ends", [(-1.2, 0.2), (10.0, 30.0), (-3e4, 3e4)], ids=str)
def test_rounding_does_not_make_a_grid_uneven(ends: tuple[float, float], dtype: torch.dtype) -> None:
    grid = torch.linspace(*ends, 12, dtype=torch.float64)
    assert is_uniform(grid.to(dtype).expand(3, 12))
    assert is_uniform(grid.to(dtype).double().unsqueeze(0)) == (dtype not in (torch.bfloat16, torch.float16))
    moved = grid.repeat(3, 1)
    moved[1, 5] += 0.2 * (ends[1] - ends[0])
    assert not is_uniform(moved.to(dtype))
