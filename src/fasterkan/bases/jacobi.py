"""Jacobi polynomials."""

from __future__ import annotations

import dataclasses

from .._check import real_number
from ._domain import Domain
from ._polynomial import Steps, _Polynomial


@dataclasses.dataclass(frozen=True)
class Jacobi(_Polynomial):
    """Jacobi polynomials phi_k(z) = P_k^(alpha, beta)(x) of degree k = 0 .. degree, x = tanh(z).

    K = degree + 1, including the constant P_0 = 1. They are orthogonal on [-1, 1] with the weight
    (1 - x)^alpha (1 + x)^beta. alpha = beta = 0 gives the Legendre polynomials. The value at x = 1 is
    binomial(k + alpha, k), and the value at x = -1 is (-1)^k binomial(k + beta, k).
    Slopes: d/dx P_k^(alpha, beta) = (k + alpha + beta + 1) / 2 P_{k-1}^(alpha + 1, beta + 1).

    Args:
        degree: the highest degree, at least 0.
        alpha: exponent at x = 1, above -1.
        beta: exponent at x = -1, above -1.
        domain: the map of z into [-1, 1]. "tanh": x = tanh(z). "clamp": functions are constant outside, with slope 0.
            None: x = z, for data that is already in [-1, 1]. Outside, values grow as (2 x)^degree and can overflow.

    Raises:
        TypeError, ValueError: an argument is outside its domain.

    Source: the recurrence is NIST DLMF 18.9.2, the slopes 18.9.15; SpaceLearner, JacobiKAN (2024), alpha = beta = 1.

    Example:
        >>> Jacobi(degree=4, alpha=0.5, beta=0.5).num_basis
        5
    """

    degree: int = 4
    alpha: float = 1.0
    beta: float = 1.0
    domain: Domain = "tanh"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("alpha", "beta"):
            value = real_number("Jacobi", name, getattr(self, name))
            if value <= -1:
                raise ValueError(f"Jacobi: {name} must be above -1, got {value}")
            object.__setattr__(self, name, value)

    def _steps(self) -> Steps:
        return _steps(self.alpha, self.beta, self.degree)

    def _slopes(self) -> tuple[list[float], Steps]:
        scales = [(k + self.alpha + self.beta + 1) / 2 for k in range(1, self.degree + 1)]
        return scales, _steps(self.alpha + 1, self.beta + 1, self.degree)


def _steps(alpha: float, beta: float, count: int) -> Steps:
    """The first `count` steps of P_k^(alpha, beta)."""
    total, steps = alpha + beta, [((alpha + beta + 2) / 2, (alpha - beta) / 2, 0.0)]
    for k in range(1, count):
        m, common = 2 * k + total, 2 * (k + 1) * (k + total + 1)
        steps.append(
            (
                (m + 1) * (m + 2) / common,
                (m + 1) * (alpha - beta) * total / (common * m),
                2 * (k + alpha) * (k + beta) * (m + 2) / (common * m),
            )
        )
    return steps[:count]
