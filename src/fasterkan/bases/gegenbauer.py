"""Gegenbauer (ultraspherical) polynomials."""

from __future__ import annotations

import dataclasses

from .._check import real_number
from ._domain import Domain
from ._polynomial import Steps, _Polynomial, ultraspherical_steps


@dataclasses.dataclass(frozen=True)
class Gegenbauer(_Polynomial):
    """Gegenbauer polynomials phi_k(z) = C_k^(alpha)(x) of degree k = 0 .. degree, x = tanh(z).

    K = degree + 1, including the constant C_0 = 1. They are orthogonal on [-1, 1] with the weight
    (1 - x^2)^(alpha - 1/2). alpha = 1/2 gives the Legendre polynomials, and alpha = 1 the Chebyshev polynomials of the
    second kind. Slopes: d/dx C_k^(alpha) = 2 alpha C_{k-1}^(alpha + 1). The value at x = 1 is
    binomial(k + 2 alpha - 1, k), which grows as k^(2 alpha - 1).

    Args:
        degree: the highest degree, at least 0.
        alpha: the order, above -1/2 and not 0. For 0, all functions except the first would be 0.
        domain: the map of z into [-1, 1]. "tanh": x = tanh(z). "clamp": functions are constant outside, with slope 0.
            None: x = z, for data that is already in [-1, 1]. Outside, values grow as (2 x)^degree and can overflow.

    Raises:
        TypeError, ValueError: an argument is outside its domain.

    Source: NIST DLMF 18.9.1 and 18.9.19.

    Example:
        >>> Gegenbauer(degree=4, alpha=1.5).num_basis
        5
    """

    degree: int = 4
    alpha: float = 1.0
    domain: Domain = "tanh"

    def __post_init__(self) -> None:
        super().__post_init__()
        alpha = real_number("Gegenbauer", "alpha", self.alpha)
        if alpha <= -0.5 or alpha == 0:
            raise ValueError(
                f"Gegenbauer: alpha must be above -1/2 and not 0, got {self.alpha}; for the limit at 0, use Chebyshev"
            )
        object.__setattr__(self, "alpha", alpha)

    def _steps(self) -> Steps:
        return ultraspherical_steps(self.alpha, self.degree)

    def _slopes(self) -> tuple[list[float], Steps]:
        return [2 * self.alpha] * self.degree, ultraspherical_steps(self.alpha + 1, self.degree)
