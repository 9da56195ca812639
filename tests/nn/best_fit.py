"""Least squares with weights of limited size, independent of the library: the yardstick of every refit."""

from __future__ import annotations

import torch
from scipy.optimize import brentq
from torch import Tensor

ALLOWED = 1.6
"""How much larger the error of a refit may be than that of the best weights of at most twice the size of the old.

A refit takes weights v instead of w only if the error falls by more than the root of |v| / |w|. It so leaves at most
the root of 2; a tenth more since its dampings are tenfold apart and damp second differences instead of sizes."""


def best_of_twice_the_size(phi: Tensor, wanted: Tensor, weight: Tensor) -> float:
    """The least sum over i of |phi v - wanted|^2, where the RMS of v is at most twice that of the old weights.

    Args:
        phi: the new functions at S points, [I, S, K'].
        wanted: the old edge functions at these points, [I, S, O].
        weight: the old weights, [O, I, K].
    """
    sizes = 2 * (weight.detach().square().mean(-1).sum(0) * phi.shape[-1]).sqrt()  # [I], Frobenius norms of v
    return sum(_best(*one) for one in zip(phi, wanted, sizes.tolist(), strict=True))


def _best(phi: Tensor, wanted: Tensor, most: float) -> float:
    """The least |phi v - wanted|^2 of all v with |v| <= most: ridge regression, damped by a root of an equation."""
    u, s, _ = torch.linalg.svd(phi, full_matrices=False)
    parts = u.T @ wanted  # [K, O]

    def excess(power: float) -> float:
        return float((s[:, None] / (s[:, None].square() + 10**power) * parts).norm()) - most

    damping = 10 ** brentq(excess, -30, 10) if excess(-30) > 0 else 0.0
    kept = s.square() / (s.square() + damping)
    return float((wanted - u @ (kept[:, None] * parts)).square().sum())
