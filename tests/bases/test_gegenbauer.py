"""Gegenbauer polynomials against their explicit sum."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from fasterkan import Gegenbauer, Legendre
from fasterkan.testing import BasisBattery


class GegenbauerBattery(BasisBattery):
    def formula(self, z: Tensor, params: dict[str, Tensor]) -> Tensor:
        maps = {"tanh": torch.tanh, "clamp": lambda v: v.clamp(-1, 1), None: lambda v: v}
        x = maps[self.basis.domain](z).unsqueeze(-1)
        alpha, x = self.basis.alpha, x.squeeze(-1)
        sums = []
        for k in range(self.basis.num_basis):
            signs = [(-1) ** j / (math.factorial(j) * math.factorial(k - 2 * j)) for j in range(k // 2 + 1)]
            sums.append(sum(c * rising(alpha, k - j) * (2 * x) ** (k - 2 * j) for j, c in enumerate(signs)))
        return torch.stack(sums, -1)


def rising(start: float, count: int) -> float:
    return math.prod(start + j for j in range(count))


class TestDefault(GegenbauerBattery):
    basis = Gegenbauer()


class TestClamped(GegenbauerBattery):
    basis, kinks = Gegenbauer(degree=7, alpha=2.5, domain="clamp"), (-1.0, 1.0)


class TestNegative(GegenbauerBattery):
    basis = Gegenbauer(degree=5, alpha=-0.3)


class TestEverywhere(GegenbauerBattery):
    basis = Gegenbauer(degree=3, domain=None)
    test_finite_for_every_finite_input = None  # a polynomial grows without bound


class TestConstant(GegenbauerBattery):
    basis = Gegenbauer(degree=0)


@pytest.mark.parametrize("alpha", [-0.5, -2, 0])
def test_alpha_outside_its_domain(alpha: float) -> None:
    with pytest.raises(ValueError, match=f"Gegenbauer: alpha must be above -1/2 and not 0, got {alpha}"):
        Gegenbauer(alpha=alpha)


def test_special_cases() -> None:
    z = torch.linspace(-2, 2, 101, dtype=torch.float64).unsqueeze(-1)
    same = Gegenbauer(6, alpha=0.5, domain="clamp").evaluate(z, {}), Legendre(6).evaluate(z, {})
    torch.testing.assert_close(*same, rtol=0, atol=1e-14)
