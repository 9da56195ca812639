"""The batteries fail when a basis or a layer is wrong: one broken piece each, and the check that must notice."""

from __future__ import annotations

import math

import pytest
import torch

import fasterkan as fk
from fasterkan.testing import BasisBattery, assert_no_worse, check_against_float64, errors


class RightBattery(BasisBattery):
    basis = fk.RSWAF(num_grids=3, train_grid=True, train_inv_denominator=True)

    def formula(self, z, params):
        return 1 - torch.tanh((z.unsqueeze(-1) - params["grid"]) * params["inv_denominator"]) ** 2


class WrongValue(fk.RSWAF):
    def evaluate(self, z, params):
        return super().evaluate(z, {**params, "inv_denominator": torch.ones_like(params["inv_denominator"])})


class WrongSlope(fk.RSWAF):
    def derivative(self, z, params):
        return super().derivative(z, params) / params["inv_denominator"]


def spoil(name: str):
    class Spoiled(fk.RSWAF):
        def vjp(self, z, params, phi, saved, dphi, wrt):
            dz, found = super().vjp(z, params, phi, saved, dphi, wrt)
            if name == "z":
                return None if dz is None else dz * 0.5, found
            return dz, {k: g * 0.5 if k == name else g for k, g in found.items()}

    Spoiled.__name__ = f"Spoiled_{name}"
    return Spoiled


@pytest.mark.parametrize(
    ("basis", "check"),
    [
        (WrongValue, "test_values_float64"),
        (WrongSlope, "test_derivative"),
        (spoil("z"), "test_vjp_is_the_gradient_of_the_formula"),
        (spoil("grid"), "test_vjp_is_the_gradient_of_the_formula"),
        (spoil("inv_denominator"), "test_vjp_is_the_gradient_of_the_formula"),
    ],
    ids=lambda v: v if isinstance(v, str) else v.__name__,
)
def test_a_broken_basis_is_noticed(basis: type[fk.RSWAF], check: str) -> None:
    battery = RightBattery()
    getattr(battery, check)()
    battery.basis = basis(num_grids=3, train_grid=True, train_inv_denominator=True)
    with pytest.raises(AssertionError):
        getattr(battery, check)()


def test_a_broken_layer_is_noticed() -> None:
    layer = fk.KANLinear(5, 3, spoil("z")(num_grids=3))
    with pytest.raises(AssertionError, match=r"dx: error .*, the plain formula's is"):
        check_against_float64(layer, RightBattery().formula, lambda: torch.randn(9, 5))


def test_the_yardstick_is_twice_the_plain_error_plus_a_millionth() -> None:
    exact = torch.tensor([1.0], dtype=torch.float64)
    pair = errors(torch.tensor([1.1]), torch.tensor([1.04]), exact)
    assert pair == pytest.approx((0.1, 0.04), rel=1e-5)
    assert_no_worse(0.2000009, 0.1, "y")
    with pytest.raises(AssertionError, match=r"y: error 2.000e-01, the plain formula's is 9.000e-02"):
        assert_no_worse(0.2, 0.09, "y")
    with pytest.raises(AssertionError):
        assert_no_worse(math.nan, 1.0, "y")
