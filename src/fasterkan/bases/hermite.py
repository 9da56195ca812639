"""Hermite polynomials, the physicists'."""

from __future__ import annotations

import dataclasses
import math

from ._domain import Domain
from ._polynomial import Steps, _Polynomial


@dataclasses.dataclass(frozen=True)
class Hermite(_Polynomial):
    """Physicists' Hermite polynomials phi_k(z) = H_k(x) of degree k = 0 .. degree, x = tanh(z).

    K = degree + 1, the constant H_0 = 1 among them. H_{k+1} = 2 x H_k - 2 k H_{k-1}, and H'_k = 2 k H_{k-1}.

    Their size grows as sqrt(2^k k!): |H_8| reaches 2300 on [-1, 1] and |H_16| 7e8, so that the highest degrees drown
    the others. `normalized=True` divides by sqrt(2^k k!): the same space, values at most sqrt(2) on [-1, 1], and
    orthonormal under the density exp(-x^2) / sqrt(pi). Published Hermite KANs use the plain ones with tanh.

    Args:
        degree: the highest degree, at least 0.
        domain: how z gets into [-1, 1]: "tanh"; "clamp", constant outside and with slope 0 there; or None, x = z,
            where values grow as (2 x)^degree and overflow in the end.
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
