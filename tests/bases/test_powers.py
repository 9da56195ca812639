"""Powers against `**`, and against Monomial."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import fasterkan as fk
from fasterkan.bases.powers import Powers
from fasterkan.testing import BasisBattery


class PowersBattery(BasisBattery):
    def formula(self, z: Tensor, params: dict[str, Tensor]) -> Tensor:
        return z.unsqueeze(-1) ** torch.arange(1, self.basis.degree + 1)

    def test_finite_for_every_finite_input(self) -> None:
        """Not so: z^2 overflows from 1.8e19 on, as it does in torchkan."""
        z = torch.tensor([[1e18, -1e18, 0.0]])
        assert torch.isfinite(Powers(2).evaluate(z, {})).all()
        assert torch.isinf(Powers(3).evaluate(z, {})[0, 0, 2])


class TestTwo(PowersBattery):
    basis = Powers()


class TestOne(PowersBattery):
    basis = Powers(1)


class TestFive(PowersBattery):
    basis = Powers(5)


def test_it_is_monomial_without_the_constant() -> None:
    z = torch.randn(4, 3, dtype=torch.float64)
    torch.testing.assert_close(Powers(3).evaluate(z, {}), fk.Monomial(3, domain=None).evaluate(z, {})[..., 1:])


@pytest.mark.parametrize("degree", [0, -1, 1.5, True])
def test_refused_degrees(degree: object) -> None:
    with pytest.raises((TypeError, ValueError), match="Powers: degree must be"):
        Powers(degree)
