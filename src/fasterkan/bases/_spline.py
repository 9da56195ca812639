"""The mathematics of B-splines: the position of z among the knots, and the few functions that are not zero there.

Dimensions: G intervals, P degree, K = G + P functions. The knots T_0 .. T_{G+2P} are extended by P intervals beyond
each end. Function k is not zero on T_k .. T_{k+P+1}. A cell is an interval of the extended knots: cell j lies between
T_{j+P} and T_{j+P+1}. The cells 0 .. G-1 are those inside the range. In cell j, the functions j .. j+P are not zero.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from .._device import exact
from ._grid import continued

Outside = Literal["zero", "linear", "constant"]

Pieces = tuple[tuple[float, ...], ...]
"""Polynomials as lists of coefficients, with the constant first."""


class Cells(NamedTuple):
    """The position of z: its cell, which is also the number of the first function there, and the place in the cell."""

    first: Tensor
    """[..., I], int64: from -P-1 to G+P with "zero", and otherwise from 0 to G-1; 0 for NaN."""
    at: Tensor
    """[..., I]: for uniform knots, the fraction of the cell in [0, 1]; for free knots, z clamped to the range of
    knots."""
    excess: Tensor | None
    """[..., I]: distance of z beyond the ends, in units of `at`, at most `reach` of its dtype; None with "zero"."""


def reach(dtype: torch.dtype) -> float:
    """The largest excess, in units of `Cells.at`; beyond it, "linear" functions are constant, and never infinite."""
    return float(torch.finfo(dtype).max ** 0.5)


def uniform_cells(z: Tensor, knots: Tensor, intervals: int, degree: int, outside: Outside) -> Cells:
    """Return the positions of z [..., I] among uniform knots [n] or [I, n] with the ends T_P and T_{G+P}."""
    low, high = knots[..., degree], knots[..., degree + intervals]  # [] or [I]
    rate, middle = intervals / (high - low), intervals // 2
    first, last = -middle, intervals - 1 - middle
    inner = z if outside == "zero" else z.clamp(low, high)
    # Measured from the middle of the range, so there is no cancellation near it, where numbers are most exact.
    place = (inner - (low + high) / 2) * rate
    place = place + 0.5 if intervals % 2 else place
    if outside == "zero":
        place, excess = place.clamp(first - degree - 1, last + degree + 1), None
        # The ends always belong to the cells inside, independent of rounding.
        least, most = first - _beyond(low - z) * (degree + 1), last + _beyond(z - high) * (degree + 1)
        cell = place.detach().floor().minimum(most).maximum(least)
    else:
        excess = ((z - inner) * rate).clamp(-reach(z.dtype), reach(z.dtype))
        cell = place.detach().floor().clamp(first, last)
    cell = cell.nan_to_num(0.0)
    return Cells((cell + middle).long(), place - cell, excess)


def free_cells(z: Tensor, knots: Tensor, intervals: int, degree: int, outside: Outside) -> Cells:
    """Return the positions of z [..., I] among increasing knots [n] or [I, n]."""
    low, high = knots[..., degree], knots[..., degree + intervals]
    if outside == "zero":
        first = (z.unsqueeze(-1) >= knots).sum(-1) - (z == high).long() - degree - 1
        return Cells(first.masked_fill(z.isnan(), 0), z.clamp(knots[..., 0], knots[..., -1]), None)
    at = z.clamp(low, high)
    first = (z.unsqueeze(-1) >= knots[..., degree + 1 : degree + intervals]).sum(-1)
    return Cells(first, at, (z - at).clamp(-reach(z.dtype), reach(z.dtype)))


def uniform_pieces(cells: Cells, pieces: Pieces, order: int) -> Tensor:
    """Return the functions first .. first+P at z [..., I, P+1], or (order 1) their derivatives by `Cells.at`."""
    degree, t = len(pieces) - 1, cells.at
    u = 1 - t
    found = [
        # Function first+r is piece P - r in t, or by symmetry piece r in 1 - t: take the one with fewer terms.
        _polynomial(pieces[degree - r], t) if 2 * r >= degree else _polynomial(pieces[r], u, (-1) ** order)
        for r in range(degree + 1)
    ]
    return torch.stack(found).movedim(0, -1).contiguous()


def free_pieces(cells: Cells, knots: Tensor, degree: int, order: int) -> Tensor:
    """Return the same as `uniform_pieces` for free knots, by the Cox-de Boor recursion on the 2P knots around z."""
    z = cells.at
    around = _around(cells.first, knots, degree)  # T_{e-P+1} .. T_{e+P} at each z, e = first + P
    left = [z - around[degree - d] for d in range(1, degree + 1)]  # z - T_{e+1-d}
    right = [around[degree + d - 1] - z for d in range(1, degree + 1)]  # T_{e+d} - z
    found = [z * 0 + 1]
    for d in range(1, degree + 1 - order):
        shares = [found[r] / (around[degree + r] - around[degree + r - d]) for r in range(d)]
        rising = [left[d - 1 - r] * share for r, share in enumerate(shares)]
        falling = [right[r] * share for r, share in enumerate(shares)]
        found = [falling[0], *(a + b for a, b in zip(rising, falling[1:], strict=False)), rising[-1]]
    if order:
        if not degree:
            return (z * 0).unsqueeze(-1)
        slopes = [degree * found[r] / (around[degree + r] - around[r]) for r in range(degree)]
        found = [-slopes[0], *(a - b for a, b in pairwise(slopes)), slopes[-1]]
    return torch.stack(found, -1)


def is_uniform(owner: str, grid: Tensor) -> bool:
    """Return whether the points [I, n] are equally spaced, up to the rounding of their dtype.

    Raises:
        ValueError: the points of a row do not increase.
    """
    steps = exact(grid.detach()).diff()
    if not (steps > 0).all():
        raise ValueError(f"{owner}: the grid of every feature must increase from left to right; points coincide")
    rounding = 4 * torch.finfo(grid.dtype).eps * exact(grid.detach()).abs().amax(-1, keepdim=True)
    return bool(((steps - steps.mean(-1, keepdim=True)).abs() <= rounding).all())


def _around(first: Tensor, knots: Tensor, degree: int) -> list[Tensor]:
    """The knots T_{first+1} .. T_{first+2P} at each z, 2P tensors [..., I]; the array is continued beyond its ends."""
    spare = degree + 1  # cells range from -P-1 to G+P
    more = continued(knots, spare)
    index = first.unsqueeze(-1) + torch.arange(1, 2 * degree + 1, device=first.device) + spare
    if more.dim() == 1:
        return list(more[index].unbind(-1))
    return list(more.expand(*first.shape, more.shape[-1]).gather(-1, index).unbind(-1))


def _beyond(distance: Tensor) -> Tensor:
    """1 where the distance is above 0, and 0 elsewhere; on CPUs this is several times faster than a comparison."""
    return distance.detach().sign().clamp_min(0)


@lru_cache
def cardinal(degree: int, order: int) -> Pieces:
    """Return the P+1 pieces of the uniform B-spline on 0 .. P+1, or of its derivative, each as a polynomial in t."""
    pieces = [[Fraction(1)]]
    for d in range(1, degree + 1):
        # d M_d(x) = x M_{d-1}(x) + (d + 1 - x) M_{d-1}(x - 1), x = m + t
        new = []
        for m in range(d + 1):
            total = [Fraction(0)] * (d + 1)
            for source, constant, sign in ((m, m, 1), (m - 1, d + 1 - m, -1)):
                for i, c in enumerate(pieces[source] if 0 <= source < d else ()):
                    total[i] += c * constant / d
                    total[i + 1] += c * sign / d
            new.append(total)
        pieces = new
    for _ in range(order):
        pieces = [[i * c for i, c in enumerate(piece)][1:] or [Fraction(0)] for piece in pieces]
    return tuple(tuple(map(float, piece)) for piece in pieces)


def _polynomial(coefficients: tuple[float, ...], t: Tensor, sign: int = 1) -> Tensor:
    """Horner's rule, without terms that are 0; NaN stays NaN."""
    *rest, leading = (sign * c for c in coefficients)
    if not rest:
        return t * 0 + leading
    value = t * leading
    for c in rest[:0:-1]:
        value = (value + c if c else value) * t
    return value + rest[0] if rest[0] else value
