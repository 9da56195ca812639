"""ReLU-KAN's bumps against their definition by two ReLUs."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from fasterkan import KANLinear, ReLUBump
from fasterkan.testing import BasisBattery


class ReLUBattery(BasisBattery):
    smoothness = 1

    def formula(self, z: Tensor, params: dict[str, Tensor]) -> Tensor:
        start, end, z = params["start"], params["end"], z.unsqueeze(-1)
        return (torch.relu(end - z) * torch.relu(z - start)) ** 2 * 16 / (end - start) ** 4


class TestDefault(ReLUBattery):
    basis = ReLUBump()
    kinks = tuple(k / 5 for k in range(-3, 10))


class TestLearned(ReLUBattery):
    basis = ReLUBump(grid_size=3, width=2, grid_range=(-1.5, 1.5), train=True)
    kinks = tuple(float(k) - 0.5 for k in range(-3, 6))


class TestSmallest(ReLUBattery):
    basis = ReLUBump(grid_size=1, width=1, grid_range=(-1.0, 1.0), train=True)
    kinks = (-3.0, -1.0, 1.0, 3.0)


def test_grid_is_that_of_the_authors() -> None:
    made = ReLUBump(grid_size=5, width=3).init(2, 1)
    torch.testing.assert_close(made["start"], torch.arange(-3, 5).div(5).expand(2, -1))
    torch.testing.assert_close(made["end"], torch.arange(1, 9).div(5).expand(2, -1))
    assert ReLUBump(grid_size=5, width=3).num_basis == 8


def test_a_bump_is_1_in_its_middle_and_0_outside() -> None:
    basis = ReLUBump(grid_size=2, width=1, grid_range=(0.0, 2.0))
    params = basis.init(1, 1, dtype=torch.float64)
    z = torch.tensor([-math.inf, -5.0, -1.0, 0.0, 1.0, 1.5, 2.0, 3.0, 3.4e38, math.inf], dtype=torch.float64)
    phi = basis.evaluate(z.unsqueeze(-1), params).squeeze(1)
    expected = torch.zeros(10, 3, dtype=torch.float64)
    expected[3, 0] = expected[4, 1] = expected[6, 2] = 1
    expected[5] = torch.tensor([0.0, 0.5625, 0.5625])
    torch.testing.assert_close(phi, expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize("gap", [0.0, -0.5, 1e-30], ids=["closed", "crossed", "narrow"])
def test_a_bump_that_closed_is_0_and_never_nan(gap: float) -> None:
    basis, z = ReLUBump(grid_size=1, width=1, train=True), torch.tensor([[0.5], [0.25]], requires_grad=True)
    params = {k: t.requires_grad_() for k, t in basis.init(1, 1).items()}
    with torch.no_grad():
        params["end"][0, 0] = params["start"][0, 0] + gap
    phi = basis.evaluate(z, params)
    grads = torch.autograd.grad(phi.sum(), [z, *params.values()])
    with torch.no_grad():
        lean = basis.vjp(
            z, params, *basis.evaluate_for_vjp(z, params), torch.ones(2, 1, 2), frozenset({"z", "start", "end"})
        )
    assert not phi[..., 0].any() and phi[..., 1].all()
    for found, expected in zip((lean[0], lean[1]["start"], lean[1]["end"]), grads, strict=True):
        torch.testing.assert_close(found, expected)
        assert found.isfinite().all()


def test_infinite_inputs_give_zero_and_zero_gradients() -> None:
    basis, z = ReLUBump(train=True), torch.tensor([[math.inf, -math.inf]], requires_grad=True)
    params = {k: t.requires_grad_() for k, t in basis.init(2, 1).items()}
    phi = basis.evaluate(z, params)
    assert not phi.any()
    assert not any(g.any() for g in torch.autograd.grad(phi.sum(), [z, *params.values()]))


def test_refined_functions_are_close() -> None:
    old = ReLUBump(grid_size=4, train=True)
    params = {k: t + 0.02 * torch.rand_like(t) for k, t in old.init(3, 2, dtype=torch.float64).items()}
    new, tensors = old.refined(params, 32, 3, 2)
    z = torch.linspace(0, 1, 300, dtype=torch.float64).unsqueeze(-1).expand(-1, 3)
    found, error = old.refit(params, torch.randn(2, 3, 7), z, new, tensors, z)
    assert new == ReLUBump(grid_size=32, train=True) and found.shape == (2, 3, 35) and error < 1e-2
    torch.testing.assert_close(new.grid_of(tensors)[:, ::8], old.grid_of(params))


def test_the_grid_moves_with_its_functions() -> None:
    basis = ReLUBump(grid_size=3, width=2)
    grid = torch.tensor([[0.0, 1.0, 3.0, 4.0], [-1.0, 0.0, 1.0, 2.0]])
    same, tensors = basis.grid_to(basis.init(2, 1), grid)
    assert same == basis and torch.equal(basis.grid_of(tensors), grid)
    assert tensors["start"].tolist() == [[-2, -1, 0, 1, 3], [-3, -2, -1, 0, 1]]
    assert tensors["end"].tolist() == [[1, 3, 4, 5, 6], [0, 1, 2, 3, 4]]
    assert basis.sites(tensors)[1].tolist() == [-1.5, -0.5, 0.5, 1.5, 2.5]


def test_fold_is_exact() -> None:
    basis = ReLUBump()
    params = basis.init(3, 2, dtype=torch.float64)
    center, scale = torch.randn(3, dtype=torch.float64), torch.rand(3, dtype=torch.float64) + 0.5
    folded, tensors = basis.fold(params, center, scale)
    x = torch.randn(20, 3, dtype=torch.float64)
    torch.testing.assert_close(folded.evaluate(x, tensors), basis.evaluate((x - center) * scale, params))


def test_trains_in_a_layer_as_the_formula_does() -> None:
    layer = KANLinear(5, 3, ReLUBump(grid_range=(-2, 2), train=True))
    x, grads = torch.randn(33, 5, requires_grad=True), {}
    for layer.path in ("reference", "recompute"):
        y = layer(x)
        grads[layer.path] = (y, *torch.autograd.grad(y.square().sum(), [x, *layer.parameters()]))
    for lean, formula in zip(grads["recompute"], grads["reference"], strict=True):
        torch.testing.assert_close(lean, formula, rtol=1e-4, atol=1e-4)


def test_compiles_to_one_graph() -> None:
    basis, z = ReLUBump(), torch.rand(8, 3)
    params = basis.init(3, 1)
    compiled = torch.compile(lambda v: basis.evaluate(v, params), fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(z), basis.evaluate(z, params))


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"grid_size": 0}, ValueError, "grid_size must be at least 1, got 0"),
        ({"width": 0}, ValueError, "width must be at least 1, got 0"),
        ({"grid_range": (1, 0)}, ValueError, "must increase from left to right"),
        ({"grid_range": (0, 1, 2)}, ValueError, "must be two numbers"),
        ({"train": "yes"}, TypeError, "train must be True or False, got 'yes'"),
    ],
    ids=["grid_size", "width", "order", "three", "train"],
)
def test_bad_arguments(arguments: dict, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=f"ReLUBump: .*{words}"):
        ReLUBump(**arguments)


def test_refine_refuses_fewer_intervals() -> None:
    with pytest.raises(ValueError, match=r"ReLUBump.refine: grid_size must be at least 5, got 4"):
        ReLUBump().refine(4)
