"""Fourier series, without tensors, and sines: p are the frequencies and q the phases."""

from __future__ import annotations

import triton
import triton.language as tl

from .centred import LARGE, clamped


@triton.jit
def fourier(z, p, q, k, constants: tl.constexpr):
    """Return cos z, sin z, cos 2z, sin 2z, ...; the constant is the number of frequencies."""
    return _series(z, k, constants, 0)


@triton.jit
def fourier_slope(z, p, q, k, dphi, constants: tl.constexpr):
    """Return the terms of dz."""
    dz = _series(z, k, constants, 1) * dphi
    return dz, dz, dz


@triton.jit
def _series(z, k, constants: tl.constexpr, order: tl.constexpr):
    """The waves, or their derivatives for order 1, by the addition formulas."""
    count: tl.constexpr = constants[0]
    cos = tl.cos(z)
    sin = tl.sin(z)
    c = cos
    s = sin
    found = (z - z) + tl.zeros(k.shape, tl.float32)
    for j in tl.static_range(count):
        if order == 1:
            even = s * (-1.0 - j)
            odd = c * (1.0 + j)
        else:
            even = c
            odd = s
        found = tl.where(k == 2 * j, even, tl.where(k == 2 * j + 1, odd, found))
        next_c = c * cos - s * sin
        s = s * cos + c * sin
        c = next_c
    return found


@triton.jit
def sine(z, p, q, k, constants: tl.constexpr):
    """Return sin(w z + p)."""
    return tl.sin(clamped(z, LARGE) * p + q)


@triton.jit
def sine_slope(z, p, q, k, dphi, constants: tl.constexpr):
    """Return the terms of dz, of the frequencies' gradient and of that of the phases."""
    bounded = clamped(z, LARGE)
    slope = tl.cos(bounded * p + q) * dphi
    inside = tl.where(tl.abs(z) > LARGE, 0.0, 1.0)
    return slope * p * inside, slope * bounded, slope
