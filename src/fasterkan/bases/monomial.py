"""Powers of z, the basis of KANvolver."""

from __future__ import annotations

import dataclasses

from ._domain import Domain
from ._polynomial import Steps, _Polynomial


@dataclasses.dataclass(frozen=True)
class Monomial(_Polynomial):
    """Powers phi_k(z) = x^k for k = 0 .. degree, where x is z clamped to [-1, 1].

    K = degree + 1, including the constant 1. High powers are nearly collinear: the condition number of their Gram
    matrix on [-1, 1] is 68 at degree 3 and grows by a factor of 5.5 per degree. Legendre and Chebyshev polynomials span
    the same space, with condition numbers of 7 and 6 at degree 3.

    Args:
        degree: the highest power, at least 0.
        domain: the map of z into [-1, 1]. "clamp": functions are constant outside, with slope 0. "tanh": x = tanh(z).
            None: x = z, for data of moderate size. Large values overflow: in float32, degree 8 overflows at 7e4.

    Raises:
        TypeError, ValueError: an argument is outside its domain.

    Source: G. Bhatia, torchkan: KANvolver (2024), powers 0 .. 2 of image features.

    Example:
        >>> Monomial(degree=3, domain=None).num_basis
        4
    """

    degree: int = 3
    domain: Domain = "clamp"

    def _steps(self) -> Steps:
        return [(1.0, 0.0, 0.0)] * self.degree

    def _slopes(self) -> tuple[list[float], Steps]:
        return [float(k) for k in range(1, self.degree + 1)], self._steps()
