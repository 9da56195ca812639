"""Legendre polynomials against their coefficients."""

from __future__ import annotations

import numpy as np
import torch
from numpy.polynomial import legendre
from torch import Tensor

from fasterkan import Legendre
from fasterkan.testing import BasisBattery


class LegendreBattery(BasisBattery):
    def formula(self, z: Tensor, params: dict[str, Tensor]) -> Tensor:
        maps = {"tanh": torch.tanh, "clamp": lambda v: v.clamp(-1, 1), None: lambda v: v}
        x = maps[self.basis.domain](z).unsqueeze(-1)
        unit = np.eye(self.basis.num_basis)
        rows = [legendre.leg2poly(unit[k, : k + 1]) for k in range(len(unit))]  # coefficients of 1, x, x^2, ...
        return torch.stack([(x ** torch.arange(len(r)) * x.new_tensor(r)).sum(-1) for r in rows], -1)


class TestDefault(LegendreBattery):
    basis, kinks = Legendre(), (-1.0, 1.0)


class TestTanh(LegendreBattery):
    basis = Legendre(degree=7, domain="tanh")


class TestEverywhere(LegendreBattery):
    basis = Legendre(degree=4, domain=None)
    test_finite_for_every_finite_input = None  # a polynomial grows without bound


class TestLine(LegendreBattery):
    basis = Legendre(degree=1, domain=None)
    test_finite_for_every_finite_input = None  # a polynomial grows without bound


class TestConstant(LegendreBattery):
    basis, kinks = Legendre(degree=0), (-1.0, 1.0)


def test_they_are_orthogonal_under_the_uniform_distribution() -> None:
    nodes, weights = legendre.leggauss(12)
    phi = Legendre(degree=8, domain=None).evaluate(torch.tensor(nodes).unsqueeze(-1), {}).squeeze(1)
    gram = phi.T @ (torch.tensor(weights).unsqueeze(-1) * phi)
    torch.testing.assert_close(gram, torch.diag(2 / (2 * torch.arange(9.0, dtype=torch.float64) + 1)))
