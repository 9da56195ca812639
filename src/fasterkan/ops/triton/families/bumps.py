"""The bumps of ReLU-KAN: p are the starts s and q the ends e."""

from __future__ import annotations

import triton
import triton.language as tl

from .centred import LARGE, clamped


@triton.jit
def relu_bump(z, p, q, k, constants: tl.constexpr):
    """Return (4 t (1 - t))^2, t = (z - s) / (e - s) in [0, 1]."""
    t, _ = _place(z, p, q)
    v = 4.0 * t * (1.0 - t)
    return v * v


@triton.jit
def relu_bump_slope(z, p, q, k, dphi, constants: tl.constexpr):
    """Return the terms of dz, of the starts' gradient and of that of the ends."""
    t, rate = _place(z, p, q)
    slope = 32.0 * t * (1.0 - t) * (1.0 - 2.0 * t) * rate * dphi
    return slope, slope * (t - 1.0), -slope * t


@triton.jit
def _place(z, p, q):
    """t, and its derivative 1 / (e - s), which is 0 if e is not above s."""
    length = q - p
    rate = tl.where(length > 0, 1.0 / tl.where(length > 0, length, 1.0), 0.0)
    t = (clamped(z, LARGE) - p) * rate
    return tl.where(t > 1.0, 1.0, tl.where(t < 0.0, 0.0, t)), rate
