"""Powers against torch's."""

from __future__ import annotations

import torch
from torch import Tensor

from fasterkan import Monomial
from fasterkan.testing import BasisBattery


class MonomialBattery(BasisBattery):
    def formula(self, z: Tensor, params: dict[str, Tensor]) -> Tensor:
        maps = {"tanh": torch.tanh, "clamp": lambda v: v.clamp(-1, 1), None: lambda v: v}
        x = maps[self.basis.domain](z).unsqueeze(-1)
        return x ** torch.arange(self.basis.num_basis)


class TestDefault(MonomialBattery):
    basis, kinks = Monomial(), (-1.0, 1.0)


class TestTanh(MonomialBattery):
    basis = Monomial(degree=6, domain="tanh")


class TestEverywhere(MonomialBattery):
    basis = Monomial(degree=4, domain=None)
    test_finite_for_every_finite_input = None  # a polynomial grows without bound


class TestLine(MonomialBattery):
    basis = Monomial(degree=1, domain=None)
    test_finite_for_every_finite_input = None  # a polynomial grows without bound


class TestConstant(MonomialBattery):
    basis = Monomial(degree=0, domain=None)


def test_large_values_spoil_only_their_own_feature() -> None:
    z = torch.tensor([[2.0, 1e30, -3.0]])
    phi = Monomial(degree=4, domain=None).evaluate(z, {})
    torch.testing.assert_close(phi[0, 0], torch.tensor([1.0, 2.0, 4.0, 8.0, 16.0]))
    torch.testing.assert_close(phi[0, 2], torch.tensor([1.0, -3.0, 9.0, -27.0, 81.0]))
    torch.testing.assert_close(phi[0, 1], torch.tensor([1.0, 1e30, torch.inf, torch.inf, torch.inf]))
