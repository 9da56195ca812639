"""Jacobi polynomials against their explicit sum."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from fasterkan import Jacobi
from fasterkan.testing import BasisBattery


class JacobiBattery(BasisBattery):
    def formula(self, z: Tensor, params: dict[str, Tensor]) -> Tensor:
        maps = {"tanh": torch.tanh, "clamp": lambda v: v.clamp(-1, 1), None: lambda v: v}
        x = maps[self.basis.domain](z).unsqueeze(-1)
        a, b = self.basis.alpha, self.basis.beta
        down, up = (x.squeeze(-1) - 1) / 2, (x.squeeze(-1) + 1) / 2
        sums = [
            sum(binomial(k + a, k - s) * binomial(k + b, s) * down**s * up ** (k - s) for s in range(k + 1))
            for k in range(self.basis.num_basis)
        ]
        return torch.stack([value + 0 * down for value in sums], -1)


def binomial(top: float, k: int) -> float:
    return math.prod((top - j) / (j + 1) for j in range(k))


class TestDefault(JacobiBattery):
    basis = Jacobi()


class TestClamped(JacobiBattery):
    basis, kinks = Jacobi(degree=7, alpha=0.5, beta=2.0, domain="clamp"), (-1.0, 1.0)


class TestNegative(JacobiBattery):
    basis = Jacobi(degree=5, alpha=-0.5, beta=-0.9)


class TestEverywhere(JacobiBattery):
    basis = Jacobi(degree=3, alpha=0.0, beta=3.0, domain=None)
    test_finite_for_every_finite_input = None  # a polynomial grows without bound


class TestLine(JacobiBattery):
    basis, kinks = Jacobi(degree=1, alpha=0.0, beta=1.0, domain="clamp"), (-1.0, 1.0)


class TestConstant(JacobiBattery):
    basis = Jacobi(degree=0)


@pytest.mark.parametrize("name", ["alpha", "beta"])
@pytest.mark.parametrize("value", [-1, -1.5])
def test_exponents_must_be_above_minus_one(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"Jacobi: {name} must be above -1, got {value}"):
        Jacobi(**{name: value})


def test_exponents_must_be_numbers() -> None:
    with pytest.raises(TypeError, match="alpha must be a number, got 'one'"):
        Jacobi(alpha="one")
    with pytest.raises(ValueError, match="beta must be finite, got nan"):
        Jacobi(beta=math.nan)


def test_whole_exponents_are_the_same_description() -> None:
    assert Jacobi(alpha=1, beta=1) == Jacobi()
