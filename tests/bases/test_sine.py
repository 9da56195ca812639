"""Sines with learned frequencies against sin(w z + p), and SineKAN's start."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from fasterkan import KANLinear, Legendre, Sine
from fasterkan.testing import BasisBattery


class SineBattery(BasisBattery):
    def formula(self, z: Tensor, params: dict[str, Tensor]) -> Tensor:
        return torch.cos(z.unsqueeze(-1) * params["frequency"] + params["phase"] - math.pi / 2)


class TestDefault(SineBattery):
    basis = Sine()


class TestWhole(SineBattery):
    basis = Sine(num_frequencies=5, normalize=False, train_frequency=False)


class TestAllLearned(SineBattery):
    basis = Sine(num_frequencies=4, train_phase=True)


class TestPerFeature(SineBattery):
    basis = Sine(num_frequencies=3, per_feature=True, train_phase=True)


class TestOne(SineBattery):
    basis = Sine(num_frequencies=1)


def test_start_is_that_of_sinekan() -> None:
    made = Sine(num_frequencies=3).init(2, 1, dtype=torch.float64)
    ratio = (0.9724108095811765 + 0.999449553483052) * (0.9724108095811765 / 2**0.9884401790754128 + 0.999449553483052)
    plain = torch.tensor([[0.25, 0.5, 0.75], [0.25 + math.pi, 0.5 + math.pi, 0.75 + math.pi]], dtype=torch.float64)
    torch.testing.assert_close(made["phase"], plain * ratio)
    assert made["frequency"].tolist() == [0.25, 0.5, 0.75]
    assert Sine(3, normalize=False).init(2, 1)["frequency"].tolist() == [1, 2, 3]
    assert Sine(3, per_feature=True).init(2, 1)["frequency"].shape == (2, 3)


@pytest.mark.parametrize("value", [3.4e38, -3.4e38, math.inf], ids=["max", "min", "inf"])
def test_huge_inputs_have_no_slope(value: float) -> None:
    basis, z = Sine(train_phase=True), torch.tensor([[0.5, value]], requires_grad=True)
    params = {k: t.requires_grad_() for k, t in basis.init(2, 1).items()}
    phi = basis.evaluate(z, params)
    dz, *found = torch.autograd.grad(phi.sum(), [z, *params.values()])
    with torch.no_grad():
        lean, others = basis.vjp(z, params, *basis.evaluate_for_vjp(z, params), torch.ones(1, 2, 8), frozenset({"z"}))
    assert phi.isfinite().all() and all(t.isfinite().all() for t in (dz, *found)) and not others
    assert dz[0, 1] == 0 == lean[0, 1] == basis.derivative(z, params)[0, 1].abs().sum()
    torch.testing.assert_close(lean, dz)


def test_fold_is_exact() -> None:
    basis = Sine(num_frequencies=5)
    params = basis.init(3, 2, dtype=torch.float64)
    center, scale = torch.randn(3, dtype=torch.float64), torch.rand(3, dtype=torch.float64) + 0.5
    folded, tensors = basis.fold(params, center, scale)
    x = torch.randn(20, 3, dtype=torch.float64)
    torch.testing.assert_close(folded.evaluate(x, tensors), basis.evaluate((x - center) * scale, params))
    assert folded.per_feature and tensors["frequency"].shape == (3, 5)
    torch.testing.assert_close(
        folded.fold(tensors, center, scale)[0].evaluate(x, folded.fold(tensors, center, scale)[1]),
        folded.evaluate((x - center) * scale, tensors),
    )


@pytest.mark.parametrize("per_feature", [False, True], ids=["shared", "per-feature"])
def test_refined_functions_are_the_learned_ones_to_the_last_bit(per_feature: bool) -> None:
    old = Sine(num_frequencies=4, per_feature=per_feature)
    params = {k: t + 0.1 * torch.rand_like(t) for k, t in old.init(3, 2, dtype=torch.float64).items()}
    new, tensors = old.refined(params, 7, 3, 2)
    z, weight = torch.randn(40, 3, dtype=torch.float64), torch.randn(2, 3, 4)
    assert new == Sine(num_frequencies=7, per_feature=per_feature)
    assert torch.equal(new.evaluate(z, tensors)[..., :4], old.evaluate(z, params))
    torch.testing.assert_close(
        tensors["frequency"][..., 4:], torch.tensor([1.0, 1.2, 1.4]).double().expand_as(tensors["frequency"][..., 4:])
    )
    found, error = old.refit(params, weight, z, new, tensors, z)
    assert error == 0 and torch.equal(found[..., :4], weight) and not found[..., 4:].any()


def test_other_frequencies_are_refitted_by_least_squares() -> None:
    old, new = Sine(num_frequencies=3), Sine(num_frequencies=9)
    z = torch.linspace(-3, 3, 100, dtype=torch.float64).unsqueeze(-1)
    tensors = [b.init(1, 1, dtype=torch.float64) for b in (old, new)]
    weight = torch.randn(1, 1, 3, dtype=torch.float64)
    for other, made in ((new, tensors[1]), (Legendre(16, "tanh"), {})):
        found, error = old.refit(tensors[0], weight, z, other, made, z)
        before, after = old.evaluate(z, tensors[0]) @ weight[0, 0], other.evaluate(z, made) @ found[0, 0]
        assert 0 < error < 0.03
        assert (after - before).norm() / before.norm() == pytest.approx(error, rel=1e-6)


def test_long_sums_of_frequencies_keep_their_digits() -> None:
    basis, rows = Sine(num_frequencies=3, train_phase=True), 300_000
    params, z = basis.init(1, 1), torch.full((rows, 1), 0.3)
    sums = []
    with torch.no_grad():
        for part in (z, z[:1]):
            phi, saved = basis.evaluate_for_vjp(part, params)
            sums.append(basis.vjp(part, params, phi, saved, torch.ones_like(phi), basis.trainable)[1])
    for name in basis.trainable:
        torch.testing.assert_close(sums[0][name], sums[1][name] * rows, rtol=2e-7, atol=0)


def test_trains_in_a_layer_as_the_formula_does() -> None:
    layer, x = KANLinear(5, 3, Sine(4, train_phase=True)), torch.randn(33, 5, requires_grad=True)
    grads = {}
    for layer.path in ("reference", "recompute"):
        y = layer(x)
        grads[layer.path] = (y, *torch.autograd.grad(y.square().sum(), [x, *layer.parameters()]))
    for lean, formula in zip(grads["recompute"], grads["reference"], strict=True):
        torch.testing.assert_close(lean, formula, rtol=1e-4, atol=1e-4)


def test_compiles_to_one_graph() -> None:
    basis, z = Sine(3), torch.randn(8, 3)
    params = basis.init(3, 1)
    compiled = torch.compile(lambda v: basis.evaluate(v, params), fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(z), basis.evaluate(z, params))


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="Sine: num_frequencies must be at least 1, got 0"):
        Sine(0)
    with pytest.raises(TypeError, match="Sine: train_phase must be True or False, got 1"):
        Sine(train_phase=1)
    with pytest.raises(ValueError, match=r"Sine.refine: num_frequencies must be at least 8, got 4"):
        Sine().refine(4)
