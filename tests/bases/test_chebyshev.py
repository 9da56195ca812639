"""Chebyshev polynomials against their coefficients."""

from __future__ import annotations

import numpy as np
import torch
from numpy.polynomial import chebyshev
from torch import Tensor

from fasterkan import Chebyshev
from fasterkan.testing import BasisBattery


class ChebyshevBattery(BasisBattery):
    def formula(self, z: Tensor, params: dict[str, Tensor]) -> Tensor:
        maps = {"tanh": torch.tanh, "clamp": lambda v: v.clamp(-1, 1), None: lambda v: v}
        x = maps[self.basis.domain](z).unsqueeze(-1)
        unit = np.eye(self.basis.num_basis)
        rows = [chebyshev.cheb2poly(unit[k, : k + 1]) for k in range(len(unit))]  # coefficients of 1, x, x^2, ...
        return torch.stack([(x ** torch.arange(len(r)) * x.new_tensor(r)).sum(-1) for r in rows], -1)


class TestDefault(ChebyshevBattery):
    basis = Chebyshev()


class TestClamped(ChebyshevBattery):
    basis, kinks = Chebyshev(degree=7, domain="clamp"), (-1.0, 1.0)


class TestEverywhere(ChebyshevBattery):
    basis = Chebyshev(degree=3, domain=None)
    test_finite_for_every_finite_input = None  # a polynomial grows without bound


class TestLine(ChebyshevBattery):
    basis, kinks = Chebyshev(degree=1, domain="clamp"), (-1.0, 1.0)


class TestConstant(ChebyshevBattery):
    basis = Chebyshev(degree=0)


def test_no_trigonometry_is_needed_to_be_the_cosine() -> None:
    angle = torch.linspace(0, torch.pi, 401, dtype=torch.float64).unsqueeze(-1)
    phi = Chebyshev(degree=12, domain=None).evaluate(angle.cos(), {})
    torch.testing.assert_close(phi, torch.cos(angle.unsqueeze(-1) * torch.arange(13)), rtol=0, atol=1e-13)


def test_float32_error_grows_slowly_with_the_degree() -> None:
    z = torch.linspace(-1, 1, 4001).unsqueeze(-1)
    exact = torch.cos(torch.arange(33) * torch.acos(z.double()).unsqueeze(-1))
    error = (Chebyshev(32, None).evaluate(z, {}) - exact).abs().amax((0, 1))
    assert [bool(error[d] < bound) for d, bound in ((4, 5e-7), (8, 2e-6), (16, 6e-6), (32, 3e-5))] == [True] * 4
