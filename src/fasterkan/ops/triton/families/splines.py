"""B-splines and hats on uniform grids: p and q are the ends of the range.

The constants are (intervals G, degree P, outside, coefficients), where the coefficients are those of the P + 1 pieces
of `bases._spline.cardinal`, one piece after the other, first of the functions and then of their derivatives.
"""

from __future__ import annotations

import triton
import triton.language as tl

from .centred import LARGE, clamped


@triton.jit
def spline(z, p, q, k, constants: tl.constexpr):
    """Return the functions of `bases._local`: P + 1 pieces of polynomials in the place of z in its cell, else 0."""
    at, excess, number, _ = _place(z, p, q, k, constants)
    degree: tl.constexpr = constants[1]
    phi = (at - at) + tl.zeros(number.shape, tl.float32)
    for r in tl.static_range(degree + 1):
        piece = _piece(at, r, degree, 0, constants)
        if constants[2] == "linear":
            piece += _piece(at, r, degree, 1, constants) * excess
        phi = tl.where(number == r, piece, phi)
    return phi


@triton.jit
def spline_slope(z, p, q, k, dphi, constants: tl.constexpr):
    """Return the terms of dz; the grid is not learned."""
    at, excess, number, rate = _place(z, p, q, k, constants)
    degree: tl.constexpr = constants[1]
    slope = (at - at) + tl.zeros(number.shape, tl.float32)
    for r in tl.static_range(degree + 1):
        piece = _piece(at, r, degree, 1, constants) * rate
        if constants[2] == "constant":
            piece = tl.where(excess == 0, piece, piece * 0)
        elif constants[2] == "linear":
            piece = tl.where(tl.abs(excess) < LARGE, piece, piece * 0)
        slope = tl.where(number == r, piece, slope)
    dz = slope * dphi
    return dz, dz, dz


@triton.jit
def _place(z, p, q, k, constants: tl.constexpr):
    """The place in the cell, the distance beyond the ends in cells, the number of the piece, and d place / dz."""
    intervals: tl.constexpr = constants[0]
    degree: tl.constexpr = constants[1]
    middle: tl.constexpr = intervals // 2
    first = -middle * 1.0
    last = intervals - 1.0 - middle
    rate = intervals / (q - p)
    inner = z
    if constants[2] != "zero":
        inner = tl.where(z > q, q, tl.where(z < p, p, z))
    place = (inner - (p + q) / 2) * rate
    if intervals % 2 == 1:
        place += 0.5
    if constants[2] == "zero":
        low = first - degree - 1.0
        high = last + degree + 1.0
        place = tl.where(place > high, high, tl.where(place < low, low, place))
        # The ends always belong to the cells inside, independent of rounding.
        least = tl.where(z < p, low, first)
        most = tl.where(z > q, high, last)
        cell = tl.floor(place)
        cell = tl.where(cell > most, most, cell)
        cell = tl.where(cell < least, least, cell)
    else:
        cell = tl.floor(place)
        cell = tl.where(cell > last, last, tl.where(cell < first, first, cell))
    # Not z - inner, which is no exact 0 where the compiler fuses it with the product that made z.
    beyond = tl.where(z > q, z - q, tl.where(z < p, z - p, 0.0))
    excess = clamped(beyond * rate, LARGE)
    return place - cell, excess, k - middle - cell, rate


@triton.jit
def _piece(at, r: tl.constexpr, degree: tl.constexpr, order: tl.constexpr, constants: tl.constexpr):
    """Piece degree - r in t or, by symmetry, piece r in 1 - t, whichever has fewer terms; Horner's rule."""
    length: tl.constexpr = degree + 1 - order if degree + 1 - order > 0 else 1
    mirrored: tl.constexpr = 2 * r < degree
    start: tl.constexpr = (order * (degree + 1) * (degree + 1)) + (r if mirrored else degree - r) * length
    sign: tl.constexpr = -1.0 if (mirrored and order == 1) else 1.0
    t = 1.0 - at if mirrored else at
    value = t * 0.0 + sign * constants[3][start + length - 1]
    for i in tl.static_range(1, length):
        value = value * t + sign * constants[3][start + length - 1 - i]
    return value
