"""Chebyshev polynomials of the first kind, the basis of ChebyKAN."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from ._base import Params
from ._domain import Domain, to_domain
from ._polynomial import Steps, _Polynomial, ultraspherical_steps


@dataclasses.dataclass(frozen=True)
class Chebyshev(_Polynomial):
    """Chebyshev polynomials phi_k(z) = T_k(x) = cos(k arccos x) of degree k = 0 .. degree, x = tanh(z).

    K = degree + 1, including the constant T_0 = 1. |T_k| <= 1, and |dT_k/dx| <= k^2. No trigonometric function is used.
    Values come from T_{k+1} = 2 x T_k - T_{k-1}. Slopes come from the polynomials of the second kind,
    T'_k = k U_{k-1}.

    Args:
        degree: the highest degree, at least 0.
        domain: the map of z into [-1, 1]. "tanh": x = tanh(z). "clamp": functions are constant outside, with slope 0.
            None: x = z, for data that is already in [-1, 1]. Outside, values grow as (2 x)^degree and can overflow.

    Raises:
        TypeError, ValueError: an argument is outside its domain.

    Source: SynodicMonth, ChebyKAN (2024), which uses degree 4 to 8 and tanh.

    Example:
        >>> Chebyshev(degree=4).num_basis
        5
    """

    degree: int = 4
    domain: Domain = "tanh"

    def evaluate(self, z: Tensor, params: Params) -> Tensor:
        """Return phi [..., I, K] by doubling, T_{m+j} = 2 T_m T_j - T_{m-j}, which makes derivatives cheap."""
        x = to_domain(z, self.domain).unsqueeze(-1)
        phi = torch.cat([x * 0 + 1, x], -1)  # T_0 .. T_m
        while (last := phi.shape[-1] - 1) < self.degree:
            more = min(last, self.degree - last)
            grown = 2 * phi[..., -1:] * phi[..., 1 : more + 1] - phi[..., last - more : last].flip(-1)
            phi = torch.cat([phi, grown], -1)
        return phi[..., : self.degree + 1]

    def _steps(self) -> Steps:
        return [(2.0 if k else 1.0, 0.0, 1.0) for k in range(self.degree)]

    def _slopes(self) -> tuple[list[float], Steps]:
        return [float(k + 1) for k in range(self.degree)], ultraspherical_steps(1.0, self.degree)
