"""Polynomials by their three-term recurrence p_{j+1} = (a_j x + b_j) p_j - c_j p_{j-1}; there are no tensors.

The constants are (domain, degree, recurrence): for the slopes the recurrence of q, p'_j = s_j q_{j-1}, and the s_j.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def tanh(z):
    """Return the hyperbolic tangent, exact to a few roundings; near 0 by the polynomial of Cephes."""
    square = z * z
    near = -5.70498872745e-3
    near = near * square + 2.06390887954e-2
    near = near * square - 5.37397155531e-2
    near = near * square + 1.33314422036e-1
    near = near * square - 3.33332819422e-1
    near = near * square * z + z
    far = 1.0 - 2.0 / (1.0 + tl.exp(2.0 * tl.abs(z)))
    return tl.where(tl.abs(z) < 0.625, near, tl.where(z < 0, -far, far))


@triton.jit
def polynomial(z, p, q, k, constants: tl.constexpr):
    """Return p_0(x) .. p_degree(x)."""
    return _values(_to_domain(z, constants), k, constants, 0)


@triton.jit
def polynomial_slope(z, p, q, k, dphi, constants: tl.constexpr):
    """Return the terms of dz."""
    x = _to_domain(z, constants)
    slope = _values(x, k, constants, 1)
    if constants[0] == "tanh":
        slope *= 1.0 - x * x
    elif constants[0] == "clamp":
        slope *= tl.where(tl.abs(z) <= 1.0, x * 0 + 1.0, x * 0)
    dz = slope * dphi
    return dz, dz, dz


@triton.jit
def _to_domain(z, constants: tl.constexpr):
    if constants[0] == "tanh":
        return tanh(z)
    elif constants[0] == "clamp":
        return tl.where(z > 1.0, 1.0, tl.where(z < -1.0, -1.0, z))
    else:
        return z


@triton.jit
def _values(x, k, constants: tl.constexpr, order: tl.constexpr):
    """p_k(x), or p'_k(x) for order 1."""
    degree: tl.constexpr = constants[1]
    before = x * 0.0
    now = x * 0.0 + 1.0
    found = before + (0.0 if order == 1 else 1.0) + k * 0.0
    for j in tl.static_range(degree):
        grown = (constants[2][3 * j] * x + constants[2][3 * j + 1]) * now - constants[2][3 * j + 2] * before
        if order == 1:
            found = tl.where(k == j + 1, constants[3][j] * now, found)
        else:
            found = tl.where(k == j + 1, grown, found)
        before = now
        now = grown
    return found
