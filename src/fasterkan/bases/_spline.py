"""B-splines as mathematics: where z lies among the knots, and the few functions that are not zero there.

Dimensions: G intervals, P degree, K = G + P functions; the knots T_0 .. T_{G+2P} are extended by P intervals beyond
each end, and function k lives on T_k .. T_{k+P+1}. A cell is an interval of the extended knots; cell j lies between
T_{j+P} and T_{j+P+1}, so that 0 .. G-1 are the cells inside, and the functions j .. j+P live in it.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ._grid import continued

Outside = Literal["zero", "linear", "constant"]

Pieces = tuple[tuple[float, ...], ...]
"""Polynomials by their coefficients, the constant first."""


class Cells(NamedTuple):
    """Where z lies: the whole number `first` (the cell, and the first function that lives in it) and a place there."""

    first: Tensor
    """[..., I], int64; with "zero" from -P-1 to G+P, else from 0 to G-1; 0 for NaN."""
    at: Tensor
    """[..., I]: uniform knots, the fraction of the cell in [0, 1]; free knots, z itself, moved to where knots are."""
    excess: Tensor | None
    """[..., I]: how far z lies beyond the ends, in units of `at`, at most `reach` of its dtype; None with "zero"."""


def reach(dtype: torch.dtype) -> float:
    """The largest excess, in units of `Cells.at`: "linear" functions are constant from there on, and never infinite."""
    return float(torch.finfo(dtype).max ** 0.5)


def uniform_cells(z: Tensor, knots: Tensor, intervals: int, degree: int, outside: Outside) -> Cells:
    """Return where z [..., I] lies between the ends T_P and T_{G+P} of uniform knots [n] or [I, n]."""
    low, high = knots[..., degree], knots[..., degree + intervals]  # [] or [I]
    rate, middle = intervals / (high - low), intervals // 2
    first, last = -middle, intervals - 1 - middle
    inner = z if outside == "zero" else z.clamp(low, high)
    # Counted from the knot, or half a cell from the knot, in the middle, where most digits are: no cancellation.
    place = (inner - (low + high) / 2) * rate
    place = place + 0.5 if intervals % 2 else place
    if outside == "zero":
        place, excess = place.clamp(first - degree - 1, last + degree + 1), None
        # The ends belong to the cells inside, whatever rounding says.
        least, most = first - _beyond(low - z) * (degree + 1), last + _beyond(z - high) * (degree + 1)
        cell = place.detach().floor().minimum(most).maximum(least)
    else:
        excess = ((z - inner) * rate).clamp(-reach(z.dtype), reach(z.dtype))
        cell = place.detach().floor().clamp(first, last)
    cell = cell.nan_to_num(0.0)
    return Cells((cell + middle).long(), place - cell, excess)


def free_cells(z: Tensor, knots: Tensor, intervals: int, degree: int, outside: Outside) -> Cells:
    """Return where z [..., I] lies among increasing knots [n] or [I, n]."""
    low, high = knots[..., degree], knots[..., degree + intervals]
    if outside == "zero":
        first = (z.unsqueeze(-1) >= knots).sum(-1) - (z == high).long() - degree - 1
        return Cells(first.masked_fill(z.isnan(), 0), z.clamp(knots[..., 0], knots[..., -1]), None)
    at = z.clamp(low, high)
    first = (z.unsqueeze(-1) >= knots[..., degree + 1 : degree + intervals]).sum(-1)
    return Cells(first, at, (z - at).clamp(-reach(z.dtype), reach(z.dtype)))


def uniform_pieces(cells: Cells, pieces: Pieces, order: int) -> Tensor:
    """Return the functions first .. first+P at z, or their derivatives by `Cells.at` (order 1), [..., I, P+1]."""
    degree, t = len(pieces) - 1, cells.at
    u = 1 - t
    found = [
        # Piece m of function first+r is m = P - r in t and, mirrored, r in 1 - t: take the one with fewer terms.
        _polynomial(pieces[degree - r], t) if 2 * r >= degree else _polynomial(pieces[r], u, (-1) ** order)
        for r in range(degree + 1)
    ]
    return torch.stack(found).movedim(0, -1).contiguous()


def free_pieces(cells: Cells, knots: Tensor, degree: int, order: int) -> Tensor:
    """Return what `uniform_pieces` does, by the recursion of Cox and de Boor on the 2P knots around each z."""
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
    """Return whether the points [I, n] are equally spaced, as far as their dtype can tell.

    Raises:
        ValueError: a row does not increase.
    """
    steps = grid.detach().double().diff()
    if not (steps > 0).all():
        raise ValueError(f"{owner}: the grid of every feature must increase from left to right; points coincide")
    rounding = 4 * torch.finfo(grid.dtype).eps * grid.detach().double().abs().amax(-1, keepdim=True)
    return bool(((steps - steps.mean(-1, keepdim=True)).abs() <= rounding).all())


def _around(first: Tensor, knots: Tensor, degree: int) -> list[Tensor]:
    """The knots T_{first+1} .. T_{first+2P} at each z, 2P tensors [..., I]; beyond the array they go on."""
    spare = degree + 1  # cells reach from -P-1 to G+P
    more = continued(knots, spare)
    index = first.unsqueeze(-1) + torch.arange(1, 2 * degree + 1, device=first.device) + spare
    if more.dim() == 1:
        return list(more[index].unbind(-1))
    return list(more.expand(*first.shape, more.shape[-1]).gather(-1, index).unbind(-1))


def _beyond(distance: Tensor) -> Tensor:
    """1 where the distance is above 0, else 0; arithmetic, several times faster on CPUs than a comparison."""
    return distance.detach().sign().clamp_min(0)


@lru_cache
def cardinal(degree: int, order: int) -> Pieces:
    """Return the P+1 pieces of the uniform B-spline on 0 .. P+1, or of a derivative of it, each in its t in [0, 1]."""
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
    """Horner's rule, zeros left out; NaN stays NaN."""
    *rest, leading = (sign * c for c in coefficients)
    if not rest:
        return t * 0 + leading
    value = t * leading
    for c in rest[:0:-1]:
        value = (value + c if c else value) * t
    return value + rest[0] if rest[0] else value
