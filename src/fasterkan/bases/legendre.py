"""Legendre polynomials, the basis of KAL-Net."""

from __future__ import annotations

import dataclasses

from ._domain import Domain
from ._polynomial import Steps, _Polynomial, ultraspherical_steps


@dataclasses.dataclass(frozen=True)
class Legendre(_Polynomial):
    """Legendre polynomials phi_k(z) = P_k(x) of degree k = 0 .. degree, where x is z clamped to [-1, 1].

    K = degree + 1, including the constant P_0 = 1. |P_k| <= 1. They are orthogonal for the uniform distribution on
    [-1, 1]. (k + 1) P_{k+1} = (2 k + 1) x P_k - k P_{k-1}. The slopes are Gegenbauer polynomials,
    P'_k = C_{k-1}^(3/2).

    Args:
        degree: the highest degree, at least 0.
        domain: the map of z into [-1, 1]. "clamp": functions are constant outside, with slope 0. "tanh": x = tanh(z).
            None: x = z, for data that is already in [-1, 1]. Outside, values grow as (2 x)^degree and can overflow.

    Raises:
        TypeError, ValueError: an argument is outside its domain.

    Source: G. Bhatia, torchkan: KAL-Net (2024), degree 3.

    Example:
        >>> Legendre(degree=3).num_basis
        4
    """

    degree: int = 3
    domain: Domain = "clamp"

    def _steps(self) -> Steps:
        return ultraspherical_steps(0.5, self.degree)

    def _slopes(self) -> tuple[list[float], Steps]:
        return [1.0] * self.degree, ultraspherical_steps(1.5, self.degree)
