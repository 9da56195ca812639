"""Cox and de Boor's recursion as it stands in the books, for the tests of B-splines and hats."""

from __future__ import annotations

import torch
from torch import Tensor


def cox_de_boor(z: Tensor, knots: Tensor, degree: int) -> Tensor:
    """All B-splines of the extended knots [n] or [I, n] at z [..., I]; the end of the range counts as inside."""
    low, high, z = knots[..., degree, None], knots[..., -degree - 1, None], z.unsqueeze(-1)
    left, right = knots[..., :-1], knots[..., 1:]
    inside = (z >= left) & (z < right) & (z != high) | (z == high) & (right == high)
    n = inside.to(z.dtype) + 0 * z
    for d in range(1, degree + 1):
        rising = (z - knots[..., : -d - 1]) / (knots[..., d:-1] - knots[..., : -d - 1])
        falling = (knots[..., d + 1 :] - z) / (knots[..., d + 1 :] - knots[..., 1:-d])
        n = rising * n[..., :-1] + falling * n[..., 1:]
    assert (low < high).all()
    return n


def with_ends(z: Tensor, knots: Tensor, degree: int, outside: str) -> Tensor:
    """The same, continued beyond the ends of the range as `outside` says."""
    if outside == "zero":
        return cox_de_boor(z, knots, degree)
    low, high = knots[..., degree], knots[..., -degree - 1]
    nearest = z.clamp(low, high)
    value = cox_de_boor(nearest, knots, degree)
    if outside == "constant":
        return value
    slope = torch.func.jvp(lambda v: cox_de_boor(v, knots, degree), (nearest.detach(),), (torch.ones_like(z),))[1]
    return value + slope * (z - nearest).unsqueeze(-1)
