"""Physicists' Hermite polynomials."""

from __future__ import annotations

import dataclasses
import math

from ._domain import Domain
from ._polynomial import Steps, _Polynomial


@dataclasses.dataclass(frozen=True)
class Hermite(_Polynomial):
    """Physicists' Hermite polynomials phi_k(z) = H_k(x) of degree k = 0 .. degree, x = tanh(z).

    K = degree + 1, including the constant H_0 = 1. H_{k+1} = 2 x H_k - 2 k H_{k-1}, and H'_k = 2 k H_{k-1}.

    Their size grows as sqrt(2^k k!). On [-1, 1], |H_8| reaches 2300 and |H_16| reaches 7e8, so the highest degrees
    dominate the others. `normalized=True` divides by sqrt(2^k k!). These functions span the same space, are at most
    sqrt(2) on [-1, 1], and are orthonormal for the density exp(-x^2) / sqrt(pi). Published Hermite KANs use tanh and
    the polynomials without normalisation.

    Args:
        degree: the highest degree, at least 0.
        domain: the map of z into [-1, 1]. "tanh": x = tanh(z). "clamp": functions are constant outside, with slope 0.
            None: x = z. Values grow as (2 x)^degree and can overflow.
        normalized: divide H_k by sqrt(2^k k!).

    Raises:
        TypeError, ValueError: an argument is outside its domain.

    Example:
        >>> Hermite(degree=4, normalized=True).num_basis
        5
    """

    degree: int = 4
    domain: Domain = "tanh"
    normalized: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.normalized, bool):
            raise TypeError(f"Hermite: normalized must be True or False, got {self.normalized!r}")

    def _steps(self) -> Steps:
        if not self.normalized:
            return [(2.0, 0.0, 2.0 * k) for k in range(self.degree)]
        return [(math.sqrt(2 / (k + 1)), 0.0, math.sqrt(k / (k + 1))) for k in range(self.degree)]

    def _slopes(self) -> tuple[list[float], Steps]:
        scales = [2.0 * k for k in range(1, self.degree + 1)]
        return [math.sqrt(s) for s in scales] if self.normalized else scales, self._steps()
