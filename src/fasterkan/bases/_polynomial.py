"""Polynomials by their three-term recurrence: values, derivatives and vector-Jacobian products."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from .._check import whole_number
from ._base import Params
from ._domain import Domain, checked_domain, domain_slope, to_domain
from ._nested import _Nested

Steps = list[tuple[float, float, float]]
"""(a_k, b_k, c_k) for k = 0, 1, ... with p_0 = 1 and p_{k+1} = (a_k x + b_k) p_k - c_k p_{k-1}; c_0 is not used."""


class _Polynomial(_Nested):
    """Polynomials phi_k(z) = p_k(x) of degree k = 0 .. degree, where x is z mapped into [-1, 1].

    A family defines two recurrences: one for the polynomials, and one for their derivatives.
    """

    degree: int
    domain: Domain
    _count: ClassVar[str] = "degree"

    def __post_init__(self) -> None:
        name = type(self).__name__
        object.__setattr__(self, "degree", whole_number(name, "degree", self.degree, 0))
        object.__setattr__(self, "domain", checked_domain(name, self.domain))

    @abstractmethod
    def _steps(self) -> Steps:
        """The recurrence of p_k, with `degree` steps."""

    @abstractmethod
    def _slopes(self) -> tuple[list[float], Steps]:
        """(s, steps): p'_k = s_{k-1} q_{k-1} for k = 1 .. degree, and the recurrence of q with `degree` steps."""

    @property
    def num_basis(self) -> int:
        return self.degree + 1

    def init(
        self,
        in_features: int,
        out_features: int,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> dict[str, Tensor]:
        return {}

    def evaluate(self, z: Tensor, params: Params) -> Tensor:
        return torch.stack(_values(to_domain(z, self.domain), self._steps()), -1)

    def derivative(self, z: Tensor, params: Params) -> Tensor:
        x = to_domain(z, self.domain)
        scales, steps = self._slopes()
        slopes = [s * q for s, q in zip(scales, _values(x, steps), strict=False)]  # of p_1 .. p_degree
        return torch.stack([x * 0, *slopes], -1) * domain_slope(z, x, self.domain).unsqueeze(-1)

    def evaluate_for_vjp(self, z: Tensor, params: Params) -> tuple[Tensor, tuple[Tensor, ...]]:
        x = to_domain(z, self.domain)
        return _filled(x, self._steps()), (x,) if self.domain == "tanh" else ()

    def vjp(
        self,
        z: Tensor,
        params: Params,
        phi: Tensor,
        saved: tuple[Tensor, ...],
        dphi: Tensor,
        wrt: frozenset[str],
    ) -> tuple[Tensor | None, dict[str, Tensor]]:
        if "z" not in wrt:
            return None, {}
        x = saved[0] if saved else to_domain(z, self.domain)
        return _weighted_slopes(x, dphi, *self._slopes()).mul_(domain_slope(z, x, self.domain)), {}


def ultraspherical_steps(alpha: float, count: int) -> Steps:
    """Return `count` steps of the Gegenbauer polynomials C_k^(alpha): Legendre's P for 1/2, Chebyshev's U for 1."""
    return [(2 * (k + alpha) / (k + 1), 0.0, (k + 2 * alpha - 1) / (k + 1)) for k in range(count)]


def _values(x: Tensor, steps: Steps) -> list[Tensor]:
    """p_0 .. p_len(steps), each in the shape of x; NaN in x gives NaN, also in p_0."""
    p = [x * 0 + 1]
    for k, (a, b, c) in enumerate(steps):
        grown = (a * x + b if b else a * x) * p[k]
        p.append(grown - c * p[k - 1] if k and c else grown)
    return p


def _filled(x: Tensor, steps: Steps) -> Tensor:
    """The same as one tensor [..., I, K]; each is computed in contiguous memory and copied, which is twice as fast."""
    phi = x.new_empty(*x.shape, len(steps) + 1)
    places = phi.unbind(-1)
    before, now = x, x * 0 + 1
    places[0].copy_(now)
    for k, (a, b, c) in enumerate(steps):
        before = torch.zeros_like(x) if not k else before.mul_(-c) if c else before.zero_()
        before.addcmul_(x, now, value=a)
        if b:
            before.add_(now, alpha=b)
        before, now = now, before
        places[k + 1].copy_(now)
    return phi


def _weighted_slopes(x: Tensor, dphi: Tensor, scales: list[float], steps: Steps) -> Tensor:
    """sum_k dphi_k p'_k(x) by Clenshaw's recurrence, which does not need the p'_k; a new tensor in the shape of x."""
    parts = dphi.unbind(-1)
    above, now = torch.zeros_like(x), torch.zeros_like(x)
    for k in reversed(range(len(scales))):
        a, b, _ = steps[k]
        if k + 2 < len(parts):
            above.mul_(-steps[k + 1][2])
        above.add_(parts[k + 1], alpha=scales[k]).addcmul_(x, now, value=a)
        if b:
            above.add_(now, alpha=b)
        above, now = now, above
    return now
