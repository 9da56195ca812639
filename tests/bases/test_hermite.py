"""Hermite polynomials, the physicists', against their coefficients."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.polynomial import hermite
from torch import Tensor

from fasterkan import Hermite
from fasterkan.testing import BasisBattery


class HermiteBattery(BasisBattery):
    def formula(self, z: Tensor, params: dict[str, Tensor]) -> Tensor:
        maps = {"tanh": torch.tanh, "clamp": lambda v: v.clamp(-1, 1), None: lambda v: v}
        x = maps[self.basis.domain](z).unsqueeze(-1)
        rows = [hermite.herm2poly([0] * k + [1]) for k in range(self.basis.num_basis)]  # coefficients of 1, x, x^2, ...
        if self.basis.normalized:
            rows = [row / math.sqrt(2**k * math.factorial(k)) for k, row in enumerate(rows)]
        return torch.stack([(x ** torch.arange(len(r)) * x.new_tensor(r)).sum(-1) for r in rows], -1)


class TestDefault(HermiteBattery):
    basis = Hermite()


class TestClamped(HermiteBattery):
    basis, kinks = Hermite(degree=6, domain="clamp"), (-1.0, 1.0)


class TestEverywhere(HermiteBattery):
    basis = Hermite(degree=3, domain=None)
    test_finite_for_every_finite_input = None  # a polynomial grows without bound


class TestNormalized(HermiteBattery):
    basis = Hermite(degree=7, normalized=True)


class TestNormalizedEverywhere(HermiteBattery):
    basis = Hermite(degree=5, domain=None, normalized=True)
    test_finite_for_every_finite_input = None  # a polynomial grows without bound


class TestConstant(HermiteBattery):
    basis = Hermite(degree=0)


def test_normalized_ones_are_orthonormal_under_their_weight() -> None:
    nodes, weights = hermite.hermgauss(20)
    phi = Hermite(degree=12, domain=None, normalized=True).evaluate(torch.tensor(nodes).unsqueeze(-1), {}).squeeze(1)
    gram = phi.T @ (torch.tensor(weights / np.sqrt(np.pi)).unsqueeze(-1) * phi)
    torch.testing.assert_close(gram, torch.eye(13, dtype=torch.float64), rtol=0, atol=1e-12)


@pytest.mark.parametrize("degree", [4, 16, 40])
def test_normalized_values_stay_of_order_one(degree: int) -> None:
    z = torch.linspace(-5, 5, 2001, dtype=torch.float64).unsqueeze(-1)
    size = Hermite(degree, normalized=True).evaluate(z, {}).abs()
    assert size.max() < math.sqrt(2) and size[..., -1].max() > 0.5


def test_normalized_must_be_a_flag() -> None:
    with pytest.raises(TypeError, match="normalized must be True or False, got 'yes'"):
        Hermite(normalized="yes")
