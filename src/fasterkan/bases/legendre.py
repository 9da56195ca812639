"""Legendre polynomials: the basis of KAL-Net."""

from __future__ import annotations

import dataclasses

from ._domain import Domain
from ._polynomial import Steps, _Polynomial, ultraspherical_steps


@dataclasses.dataclass(frozen=True)
class Legendre(_Polynomial):
    """Legendre polynomials phi_k(z) = P_k(x) of degree k = 0 .. degree, x = z cut off at -1 and 1.

    K = degree + 1, the constant P_0 = 1 among them. |P_k| <= 1; orthogonal under the uniform distribution on [-1, 1].
    (k + 1) P_{k+1} = (2 k + 1) x P_k - k P_{k-1}, and the slopes are Gegenbauer polynomials, P'_k = C_{k-1}^(3/2).

    Args:
        degree: the highest degree, at least 0.
        domain: how z gets into [-1, 1]: "clamp", constant outside and with slope 0 there; "tanh"; or None, x = z, for
            data that lies there already (elsewhere values grow as (2 x)^degree and overflow in the end).

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
