"""Rational functions with learned coefficients, the basis of the Kolmogorov-Arnold transformer (KAT)."""

from __future__ import annotations

import dataclasses
import difflib
from typing import Literal

import torch
from torch import Tensor

from .._check import whole_number
from ._base import Basis, Params
from ._domain import bound
from ._rational_fit import FUNCTIONS, fitted
from ._sums import total

Start = Literal["swish", "identity", "tanh"]


@dataclasses.dataclass(frozen=True)
class Rational(Basis):
    """One safe Pade function for each group of features, phi(z) = P(z) / (1 + |Q(z)|), with learned coefficients.

    P(z) = a_0 + a_1 z + ... + a_p z^p and Q(z) = b_1 z + ... + b_q z^q. K = 1: edges differ only by their weight, as in
    the group-rational layer of KAT. The denominator is at least 1, so there is no pole. The slope jumps where Q changes
    its sign. The initial Q does not change its sign.

    z is clamped to +-M^(1 / (m + 2)), so that no power overflows. M is the largest number of its dtype, and m is the
    larger degree. For the default degrees this is +-3.2e5 in float32. 16-bit floats are computed in float32.

    Args:
        numerator_degree: p, at least 3.
        denominator_degree: q, at least 2.
        groups: number of groups of neighbouring features. Each group has its own coefficients. `groups` must divide
            in_features. A layer with one feature has one group.
        start: the initial function. It is fitted by least squares on [-4, 4]. With the default degrees, the largest
            error there is 1.1e-5 for "swish", 2.4e-5 for "tanh" and 0 for "identity".

    Tensors: `numerator` a [groups, p + 1] and `denominator` b [groups, q], both learned.

    Raises:
        TypeError, ValueError: an argument is outside its domain; or, in `init`, groups does not divide in_features.

    Source: X. Yang and X. Wang, Kolmogorov-Arnold transformer (arXiv 2409.10594); the safe Pade units are from A.
    Molina et al. (arXiv 1907.06732).

    Example:
        >>> Rational(groups=4).init(in_features=8, out_features=2)["numerator"].shape
        torch.Size([4, 6])
    """

    numerator_degree: int = 5
    denominator_degree: int = 4
    groups: int = 8
    start: Start = "swish"

    def __post_init__(self) -> None:
        for name, least in (("numerator_degree", 3), ("denominator_degree", 2), ("groups", 1)):
            object.__setattr__(self, name, whole_number("Rational", name, getattr(self, name), least))
        if self.start not in FUNCTIONS:
            near = difflib.get_close_matches(str(self.start), FUNCTIONS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(
                f"Rational: start must be one of {', '.join(map(repr, FUNCTIONS))}, got {self.start!r}{hint}"
            )

    @property
    def num_basis(self) -> int:
        return 1

    @property
    def grid_range(self) -> tuple[float, float]:
        return (-3.0, 3.0)

    @property
    def trainable(self) -> frozenset[str]:
        return frozenset(("numerator", "denominator"))

    def init(
        self,
        in_features: int,
        out_features: int,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> dict[str, Tensor]:
        groups = self.groups if in_features > 1 else 1
        if in_features % groups:
            divisors = [d for d in range(1, in_features + 1) if not in_features % d]
            raise ValueError(
                f"Rational: groups={groups} does not divide in_features={in_features}; "
                f"possible values: {', '.join(map(str, divisors))}"
            )
        a, b = fitted(self.start, self.numerator_degree, self.denominator_degree)
        return {
            "numerator": torch.tensor(a, device=device, dtype=dtype).repeat(groups, 1),
            "denominator": torch.tensor(b, device=device, dtype=dtype).repeat(groups, 1),
        }

    def evaluate(self, z: Tensor, params: Params) -> Tensor:
        x, a, b = self._grouped(z, params)
        y = _polynomial(x, a) / (1 + (x * _polynomial(x, b)).abs())
        return y.flatten(-2).unsqueeze(-1).to(z.dtype)

    def derivative(self, z: Tensor, params: Params) -> Tensor:
        x, a, b = self._grouped(z, params)
        q = x * _polynomial(x, b)
        slope = _slope(x, a, b, q, _polynomial(x, a) / (1 + q.abs())) / (1 + q.abs())
        return (slope.flatten(-2) * self._inside(z)).unsqueeze(-1).to(z.dtype)

    def evaluate_for_vjp(self, z: Tensor, params: Params) -> tuple[Tensor, tuple[Tensor, ...]]:
        x, a, b = self._grouped(z, params)
        q = _polynomial(x, b).mul_(x)
        y = _polynomial(x, a).div_(q.abs().add_(1))
        return y.flatten(-2).unsqueeze(-1).to(z.dtype), (q,)

    def vjp(
        self,
        z: Tensor,
        params: Params,
        phi: Tensor,
        saved: tuple[Tensor, ...],
        dphi: Tensor,
        wrt: frozenset[str],
    ) -> tuple[Tensor | None, dict[str, Tensor]]:
        (q,), (x, a, b) = saved, self._grouped(z, params)
        y = phi.view_as(x).to(x.dtype)
        share = dphi.view_as(x) / (1 + q.abs())  # the gradient of P, [..., groups, I / groups]
        dz = None
        if "z" in wrt:
            dz = (share * _slope(x, a, b, q, y)).flatten(-2).mul_(self._inside(z)).to(z.dtype)
        found = {}
        if "denominator" in wrt:
            found["denominator"] = _moments(-share * y * q.sign() * x, x, params["denominator"])
        if "numerator" in wrt:
            found["numerator"] = _moments(share, x, params["numerator"])
        return dz, found

    def _grouped(self, z: Tensor, params: Params) -> tuple[Tensor, Tensor, Tensor]:
        """z, clamped, as [..., groups, I / groups], and the coefficients, all in float32 or higher precision."""
        dtype = torch.promote_types(z.dtype, torch.float32)
        limit, groups = self._limit(dtype), params["numerator"].shape[0]
        x = z.to(dtype).clamp(-limit, limit).unflatten(-1, (groups, z.shape[-1] // groups))
        return x, params["numerator"].to(dtype), params["denominator"].to(dtype)

    def _limit(self, dtype: torch.dtype) -> float:
        return bound(dtype, max(self.numerator_degree, self.denominator_degree) + 2)

    def _inside(self, z: Tensor) -> Tensor:
        """Where z is not clamped; this includes NaN."""
        return ~(z.abs() > self._limit(torch.promote_types(z.dtype, torch.float32)))


def _polynomial(x: Tensor, coefficients: Tensor) -> Tensor:
    """sum_j c[group, j] x^j by Horner's rule, in the shape of x [..., groups, n]; NaN in x gives NaN."""
    *lower, value = coefficients.unsqueeze(-1).unbind(-2)  # [groups, 1] each
    value = value + x * 0
    for c in reversed(lower):
        value = torch.addcmul(c, value, x)
    return value


def _slope(x: Tensor, a: Tensor, b: Tensor, q: Tensor, y: Tensor) -> Tensor:
    """(1 + |Q|) dphi/dx = P' - phi sign(Q) Q'."""
    order = torch.arange(1, max(a.shape[-1], b.shape[-1] + 1), dtype=x.dtype, device=x.device)
    top = _polynomial(x, a[:, 1:] * order[: a.shape[-1] - 1])
    return top - y * q.sign() * _polynomial(x, b * order[: b.shape[-1]])


def _moments(terms: Tensor, x: Tensor, like: Tensor) -> Tensor:
    """The sums of terms x^j over rows and the features of each group, j = 0, 1, ..., in the shape of `like`."""
    sums = []
    for j in range(like.shape[-1]):
        terms = terms * x if j else terms
        sums.append(total(terms.flatten(0, -3), like[:, :1]))
    return torch.cat(sums, -1)
