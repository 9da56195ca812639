"""Powers of z: the basis of KANvolver."""

from __future__ import annotations

import dataclasses

from ._domain import Domain
from ._polynomial import Steps, _Polynomial


@dataclasses.dataclass(frozen=True)
class Monomial(_Polynomial):
    """Powers phi_k(z) = x^k for k = 0 .. degree, x = z cut off at -1 and 1.

    K = degree + 1, the constant 1 among them. High powers are close to collinear: the condition number of their
    Gram matrix on [-1, 1] is 68 at degree 3 and grows 5.5-fold a degree; Legendre's and Chebyshev's polynomials span
    the same space with 7 and 6 there.

    Args:
        degree: the highest power, at least 0.
        domain: how z gets into [-1, 1]: "clamp", constant outside and with slope 0 there; "tanh"; or None, x = z, for
            data of moderate size (large values overflow: in float32 degree 8 does at 7e4).

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
