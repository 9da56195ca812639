"""Fourier series against numpy's cosines and sines."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from fasterkan import Fourier, KANLinear
from fasterkan.testing import BasisBattery


class FourierBattery(BasisBattery):
    def formula(self, z: Tensor, params: dict[str, Tensor]) -> Tensor:
        angle = z.unsqueeze(-1) * torch.arange(1, self.basis.num_frequencies + 1)
        return torch.stack([torch.cos(angle), torch.sin(angle)], -1).flatten(-2)


class TestDefault(FourierBattery):
    basis = Fourier()


class TestOne(FourierBattery):
    basis = Fourier(num_frequencies=1)


class TestMany(FourierBattery):
    basis = Fourier(num_frequencies=12)


@pytest.mark.parametrize("count", [1, 2, 5, 12, 100])
def test_values_are_those_of_numpy(count: int) -> None:
    x = np.linspace(-4 * math.pi, 4 * math.pi, 1001)
    phi = Fourier(count).evaluate(torch.tensor(x).unsqueeze(-1), {}).squeeze(1).numpy()
    k = np.arange(1, count + 1)
    np.testing.assert_allclose(phi[:, ::2], np.cos(np.outer(x, k)), rtol=0, atol=1e-12)
    np.testing.assert_allclose(phi[:, 1::2], np.sin(np.outer(x, k)), rtol=0, atol=1e-12)


def test_float32_error_stays_small_for_many_frequencies() -> None:
    z = torch.linspace(-10, 10, 4001).unsqueeze(-1)
    exact = TestMany.formula(type("Of", (), {"basis": Fourier(300)}), z.double(), {})
    with torch.no_grad():
        for phi in (Fourier(300).evaluate(z, {}), Fourier(300).evaluate_for_vjp(z, {})[0]):
            assert (phi - exact).abs().max() < 4e-5


@pytest.mark.parametrize("z", [1e6, -3e20, 3.4e38], ids=["1e6", "-3e20", "3.4e38"])
def test_waves_of_huge_inputs_stay_waves(z: float) -> None:
    phi = Fourier(8).evaluate(torch.tensor([z]), {}).view(8, 2)
    torch.testing.assert_close(phi.square().sum(-1), torch.ones(8), rtol=0, atol=1e-5)
    torch.testing.assert_close(phi[0, 0].double(), torch.tensor(z).double().cos(), rtol=0, atol=1e-6)


def test_refined_functions_are_the_old_ones_to_the_last_bit() -> None:
    old, z, weight = Fourier(3), torch.randn(50, 4), torch.randn(2, 4, 6)
    new = old.refine(7)
    found, error = old.refit({}, weight, z, new, {}, z)
    assert new == Fourier(7) and error == 0
    assert torch.equal(found[..., :6], weight) and not found[..., 6:].any()
    assert torch.equal(new.evaluate(z, {})[..., :6], old.evaluate(z, {}))


def test_trains_in_a_layer_as_the_formula_does() -> None:
    layer, x = KANLinear(5, 3, Fourier(4)), torch.randn(33, 5, requires_grad=True)
    grads = {}
    for layer.path in ("reference", "recompute"):
        y = layer(x)
        grads[layer.path] = (y, *torch.autograd.grad(y.square().sum(), [x, *layer.parameters()]))
    for lean, formula in zip(grads["recompute"], grads["reference"], strict=True):
        torch.testing.assert_close(lean, formula, rtol=1e-4, atol=1e-4)


def test_compiles_to_one_graph() -> None:
    z = torch.randn(8, 3)
    compiled = torch.compile(lambda v: Fourier(3).evaluate(v, {}), fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(z), Fourier(3).evaluate(z, {}))


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="Fourier: num_frequencies must be at least 1, got 0"):
        Fourier(0)
    with pytest.raises(TypeError, match="num_frequencies must be a whole number, got '5'"):
        Fourier("5")
    with pytest.raises(ValueError, match=r"Fourier.refine: num_frequencies must be at least 5, got 2"):
        Fourier(5).refine(2)
