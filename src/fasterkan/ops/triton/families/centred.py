"""RSWAF and Gaussian: bumps around centres. p are the centres u; q is 1/h for RSWAF and h for Gaussian."""

from __future__ import annotations

import os

import triton
import triton.language as tl

LARGE = tl.constexpr(1.8446742974197924e19)
"""The square root of the largest float32."""

INTERPRETED = tl.constexpr(os.environ.get("TRITON_INTERPRET") == "1")
"""Triton's interpreter has no instructions of a device."""

TWICE_LOG2_E = tl.constexpr(2.8853900817779268)
LOG2_E = tl.constexpr(1.4426950408889634)


@triton.jit
def clamped(z, limit):
    """Return z, not beyond +-limit; NaN stays NaN."""
    return tl.where(z > limit, limit, tl.where(z < -limit, -limit, z))


@triton.jit
def _power(x):
    """2^x for x <= 0, by one instruction: results below 1e-38 are 0."""
    if INTERPRETED:
        return tl.exp2(x)
    else:
        return tl.inline_asm_elementwise("ex2.approx.ftz.f32 $0, $1;", "=f,f", [x], tl.float32, is_pure=True, pack=1)


@triton.jit
def _reciprocal(x):
    """1 / x for x in [1, 2], by one instruction with an error of one bit."""
    if INTERPRETED:
        return 1.0 / x
    else:
        return tl.inline_asm_elementwise("rcp.approx.ftz.f32 $0, $1;", "=f,f", [x], tl.float32, is_pure=True, pack=1)


@triton.jit
def _decay(z, p, q):
    """a = (z - u) / h, exp(-2 |a|), and 1 / (1 + exp(-2 |a|))."""
    a = (z - p) * q
    e = _power(tl.abs(a) * -TWICE_LOG2_E)
    return a, e, _reciprocal(1.0 + e)


@triton.jit
def rswaf(z, p, q, k, constants: tl.constexpr):
    """Return sech^2(a) = 4 s (1 - s), s = sigmoid(-2 |a|)."""
    _, e, r = _decay(z, p, q)
    return 4.0 * e * r * r


@triton.jit
def rswaf_slope(z, p, q, k, dphi, constants: tl.constexpr):
    """Return terms of dz, of the centres' gradient and of that of 1/h: d phi / da = -2 tanh(a) phi."""
    a, e, r = _decay(z, p, q)
    tanh = (1.0 - e) * r
    da = tl.where(a < 0, tanh, -tanh) * (8.0 * e * r * r) * dphi
    return da * q, -da * q, da * clamped(z - p, LARGE)


@triton.jit
def gaussian(z, p, q, k, constants: tl.constexpr):
    """Return exp(-a^2), a = (z - u) / h."""
    a = (clamped(z, LARGE) - p) * (1.0 / q)
    return _power(a * a * -LOG2_E)


@triton.jit
def gaussian_slope(z, p, q, k, dphi, constants: tl.constexpr):
    """Return terms of dz, of the centres' gradient and of that of h: d phi / da = -2 a phi."""
    rate = 1.0 / q
    a = (clamped(z, LARGE) - p) * rate
    da = _power(a * a * -LOG2_E) * a * dphi * (-2.0 * rate)
    return da, -da, -da * a
