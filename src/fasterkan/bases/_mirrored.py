"""All uniform B-splines of degree 2 or 3 at every point, by two powers of the distance from the middle.

With a = |z - c_k| / d, the distance from the middle c_k of function k in units of intervals, and H = (P + 1) / 2,

    phi_k(z) = (max(H - a, 0)^P - (P + 1) max(H - 1 - a, 0)^P) / P!

The distances are measured from the nearer end of the function, so cancellation costs at most one bit. The usual
truncated powers measure from the left end and lose all digits on long grids.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

MIRRORED = (2, 3)
"""The degrees for which this form is used."""


def mirrored_values(z: Tensor, knots: Tensor, intervals: int, degree: int) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Return phi [..., I, K] and the tensors for `mirrored_slope`, without a graph.

    Args:
        z: [..., I].
        knots: extended uniform knots, [G+1+2P] or [I, G+1+2P].
        intervals: G.
        degree: P.
    """
    low, high = knots[..., degree], knots[..., degree + intervals]  # [] or [I]
    count = intervals + degree
    middles = torch.arange(count, dtype=z.dtype, device=z.device) - (count - 1) / 2
    place = (z - (low + high) / 2) * (intervals / (high - low))
    offset = place.unsqueeze(-1) - middles  # [..., I, K]
    outer = offset.abs().neg_().add_((degree + 1) / 2).clamp_min_(0)
    inner = (outer - 1).clamp_min_(0)
    phi = outer.pow(degree).sub_(inner.pow(degree), alpha=degree + 1).mul_(1 / math.factorial(degree))
    return phi, (offset, outer, inner)


def mirrored_slope(saved: tuple[Tensor, ...], dphi: Tensor, degree: int) -> Tensor:
    """Return sum_k dphi_k d phi_k / d place, [..., I]."""
    offset, outer, inner = saved
    slope = outer.pow(degree - 1).sub_(inner.pow(degree - 1), alpha=degree + 1).mul_(offset.sign())
    return slope.mul_(dphi).sum(-1).mul_(-1 / math.factorial(degree - 1))
