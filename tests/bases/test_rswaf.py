"""RSWAF against its definition 1 - |tanh((z - u) / h)|^p."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from fasterkan import RSWAF
from fasterkan.testing import BasisBattery


class RSWAFBattery(BasisBattery):
    basis = RSWAF()

    def formula(self, z: Tensor, params: dict[str, Tensor]) -> Tensor:
        t = torch.tanh((z.unsqueeze(-1) - params["grid"]) * params["inv_denominator"].unsqueeze(-1))
        if self.basis.exponent == 2:
            return 1 - t * t
        return 1 - t.abs() ** self.basis.exponent


class TestDefault(RSWAFBattery):
    pass


class TestLearned(RSWAFBattery):
    basis = RSWAF(num_grids=5, grid_range=(-2, 3), train_grid=True, train_inv_denominator=True)


class TestPerFeature(RSWAFBattery):
    basis = RSWAF(num_grids=5, per_feature=True, train_grid=True, train_inv_denominator=True)


class TestGivenGrid(RSWAFBattery):
    basis = RSWAF(grid=(-1.0, -0.7, 0.1, 2.0), inv_denominator=-1.5, train_grid=True, train_inv_denominator=True)


class TestFourthPower(RSWAFBattery):
    basis = RSWAF(num_grids=3, exponent=4, train_grid=True, train_inv_denominator=True)


class TestFractionalExponent(RSWAFBattery):
    basis = RSWAF(num_grids=3, exponent=2.5, train_grid=True, train_inv_denominator=True)


class TestCusp(RSWAFBattery):
    basis = RSWAF(num_grids=3, exponent=0.7, train_inv_denominator=True)
    smoothness = 0
    kinks = (-1.2, 0.0, 1.2)


CENTRES = RSWAF(num_grids=3, grid_range=(-1.0, 1.0), inv_denominator=2.0)


def derivatives_at(z: float, exponent: float, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """phi, phi', phi'' of the middle function (centre 0, 1/h = 2) at z."""
    basis = RSWAF(num_grids=3, grid_range=(-1.0, 1.0), inv_denominator=2.0, exponent=exponent)
    x = torch.tensor([z], dtype=dtype, requires_grad=True)
    phi = basis.evaluate(x, basis.init(1, 1, dtype=dtype))[0, 1]
    (first,) = torch.autograd.grad(phi, x, create_graph=True)
    (second,) = torch.autograd.grad(first, x, create_graph=True, materialize_grads=True)
    return [phi.detach(), first.detach()[0], second.detach()[0]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("exponent", [0.1, 0.5, 1, 1.01, 1.5, 2, 2.5, 3, 4])
@pytest.mark.parametrize("z", [0.0, 1e-320, 1e-40, 1e-20, 1e-6, 1e300], ids=str)
def test_no_derivative_is_ever_nan(z: float, exponent: float, dtype: torch.dtype) -> None:
    assert not any(math.isnan(d) for d in derivatives_at(z, exponent, dtype))


@pytest.mark.parametrize(
    ("exponent", "slope", "curvature"), [(0.5, 0, 0), (1, 0, 0), (1.5, 0, None), (2, 0, -8), (2.5, 0, 0), (4, 0, 0)]
)
def test_derivatives_at_a_centre(exponent: float, slope: float, curvature: float | None) -> None:
    phi, first, second = derivatives_at(0.0, exponent)
    assert (phi, first) == (1, slope)
    assert curvature is None or second == curvature


@pytest.mark.parametrize("exponent", [1.01, 1.5, 1.9])
@pytest.mark.parametrize("z", [1e-30, 1e-12, 1e-3])
def test_slope_is_right_next_to_a_centre(exponent: float, z: float) -> None:
    t = math.tanh(2 * z)
    expected = -exponent * t ** (exponent - 1) * (1 - t * t) * 2
    assert derivatives_at(z, exponent)[1].item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("exponent", [0.5, 2, 3])
def test_infinite_inputs_give_zero_and_zero_gradients(exponent: float) -> None:
    basis = RSWAF(num_grids=4, exponent=exponent, train_grid=True, train_inv_denominator=True)
    params = {k: t.requires_grad_() for k, t in basis.init(2, 1).items()}
    z = torch.tensor([[math.inf, -math.inf]], requires_grad=True)
    phi = basis.evaluate(z, params)
    assert torch.equal(phi, torch.zeros(1, 2, 4))
    for grad in torch.autograd.grad(phi.sum(), [z, *params.values()]):
        assert torch.equal(grad, torch.zeros_like(grad))
    with torch.no_grad():
        phi, saved = basis.evaluate_for_vjp(z, params)
        dz, found = basis.vjp(z, params, phi, saved, torch.ones(1, 2, 4), frozenset({"z", *params}))
    assert all(torch.equal(g, torch.zeros_like(g)) for g in (dz, *found.values()))


def test_default_centres() -> None:
    torch.testing.assert_close(RSWAF().init(1, 1)["grid"], torch.linspace(-1.2, 1.2, 8), rtol=0, atol=1e-6)


def test_auto_width_is_best_conditioned_spacing() -> None:
    basis = RSWAF(num_grids=8, grid_range=(-1.2, 1.2))
    assert basis.init(3, 2)["inv_denominator"].item() == pytest.approx(1 / (1.2 * 2.4 / 7))


def test_float32_error_of_a_value_stays_below_its_bound() -> None:
    for count in (2, 8, 32, 128):
        basis = RSWAF(num_grids=count)
        params, z = basis.init(1, 1), torch.linspace(-3, 3, 20001).unsqueeze(-1)
        exact = (
            1
            - torch.tanh((z.double().unsqueeze(-1) - params["grid"].double()) * params["inv_denominator"].double()) ** 2
        )
        assert (basis.evaluate(z, params) - exact).abs().max() < 2e-7


def test_grid_sets_number_and_range() -> None:
    basis = RSWAF(grid=[-1, 0.5, 2])
    assert (basis.num_grids, basis.grid_range, basis.spacing) == (3, (-1.0, 2.0), 1.5)
    assert basis.init(1, 1)["grid"].tolist() == [-1.0, 0.5, 2.0]


def test_refine_keeps_width_over_spacing() -> None:
    coarse = RSWAF(num_grids=5, inv_denominator=2.0)
    fine = coarse.refine(17)
    assert fine.num_grids == 17 and fine.grid_range == coarse.grid_range
    assert fine.inv_denominator * fine.spacing == pytest.approx(coarse.inv_denominator * coarse.spacing)


def test_refine_puts_centres_beyond_the_ends_and_divides_given_ones() -> None:
    fine = RSWAF(num_grids=5, grid_range=(-1.0, 1.0)).refine(17)
    grid = fine.init(1, 1, dtype=torch.float64)["grid"]
    assert fine.beyond == 3 and fine.spacing == pytest.approx(0.2)
    torch.testing.assert_close(grid, torch.linspace(-1.6, 1.6, 17, dtype=torch.float64))
    assert fine.refine(17) == fine
    given = RSWAF(grid=(0, 1, 3)).refine(5)
    assert (given.grid, given.beyond, given.grid_range) == ((0, 0.5, 1, 2, 3), 0, (0, 3))
    assert RSWAF(grid=(0, 1, 3), beyond=1).init(1, 1)["grid"].tolist() == [-1, 0, 1, 3, 5]


@pytest.mark.parametrize("per_feature", [False, True], ids=["shared", "per-feature"])
def test_refined_tensors_keep_learned_places(per_feature: bool) -> None:
    basis = RSWAF(num_grids=3, per_feature=per_feature)
    params = basis.init(2, 1, dtype=torch.float64)
    params["grid"].copy_(torch.tensor([-1.0, 0.0, 3.0]))
    params["inv_denominator"].fill_(0.5)
    new, tensors = basis.refined(params, 5, 2, 1)
    assert new.num_grids == 5 and tensors["grid"].shape == ((2, 5) if per_feature else (5,))
    assert tensors["grid"].reshape(-1, 5)[0].tolist() == [-1, -0.5, 0, 1.5, 3]
    assert tensors["inv_denominator"].tolist() == [1.0] * (2 if per_feature else 1)


def test_grid_to_moves_each_feature_and_keeps_width_over_distance() -> None:
    basis = RSWAF(num_grids=5, grid_range=(-1.0, 1.0), beyond=1)
    params = basis.init(2, 1, dtype=torch.float64)
    moved, tensors = basis.grid_to(params, torch.tensor([[0.0, 1.0, 4.0], [5.0, 6.0, 7.0]], dtype=torch.float64))
    assert moved.per_feature and moved.num_basis == 5
    assert tensors["grid"].tolist() == [[-1, 0, 1, 4, 7], [4, 5, 6, 7, 8]]
    ratio = params["inv_denominator"] * 1.0
    torch.testing.assert_close(tensors["inv_denominator"], torch.cat([ratio / 2, ratio]))


def test_refit_on_a_finer_grid_keeps_the_functions() -> None:
    coarse = RSWAF(num_grids=6)
    fine = coarse.refine(40)
    params, weight = coarse.init(3, 2, dtype=torch.float64), torch.randn(2, 3, 6, dtype=torch.float64)
    z = torch.linspace(-1.2, 1.2, 200, dtype=torch.float64).unsqueeze(-1).expand(-1, 3)
    found, error = coarse.refit(params, weight, z, fine, fine.init(3, 2, dtype=torch.float64), z)
    assert found.shape == (2, 3, 40) and error < 1e-2
    values = [
        torch.einsum("sik,oik->sio", b.evaluate(z, b.init(3, 2, dtype=torch.float64)), w)
        for b, w in ((coarse, weight), (fine, found))
    ]
    assert (values[1] - values[0]).norm() / values[0].norm() == pytest.approx(error, rel=1e-6)


def test_fold_is_exact() -> None:
    basis = RSWAF(num_grids=5)
    params = basis.init(3, 2, dtype=torch.float64)
    center, scale = torch.randn(3, dtype=torch.float64), torch.rand(3, dtype=torch.float64) + 0.5
    folded, tensors = basis.fold(params, center, scale)
    x = torch.randn(20, 3, dtype=torch.float64)
    torch.testing.assert_close(folded.evaluate(x, tensors), basis.evaluate((x - center) * scale, params))
    assert folded.per_feature and tensors["grid"].shape == (3, 5)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"num_grids": 1}, ValueError, "num_grids must be at least 2, got 1"),
        ({"num_grids": "8"}, TypeError, "num_grids must be a whole number, got '8'"),
        ({"num_grids": 2.5}, TypeError, "whole number, got 2.5"),
        ({"num_grids": True}, TypeError, "whole number, got True"),
        ({"grid_range": (1.2, -1.2)}, ValueError, r"must increase from left to right, got \(1.2, -1.2\)"),
        ({"grid_range": (0, 1, 2)}, ValueError, "must be two numbers"),
        ({"grid_range": 3}, TypeError, "sequence of numbers, got 3"),
        ({"grid_range": (0, math.inf)}, ValueError, r"grid_range\[1\] must be finite"),
        ({"exponent": 0}, ValueError, "exponent must be above 0, got 0"),
        ({"inv_denominator": 0}, ValueError, "inv_denominator must not be 0"),
        ({"inv_denominator": math.nan}, ValueError, "must be finite"),
        ({"inv_denominator": "narrow"}, ValueError, "or \"auto\", got 'narrow'"),
        ({"train_grid": 1}, TypeError, "train_grid must be True or False, got 1"),
        ({"grid": (0, 0)}, ValueError, "must increase"),
        ({"grid": (0, 1, 2), "num_grids": 5}, ValueError, "grid has 3 centres, num_grids is 5"),
        ({"beyond": -1}, ValueError, "beyond must be at least 0, got -1"),
        ({"beyond": 4}, ValueError, "num_grids=8 with beyond=4 leaves 0 centres on the range"),
    ],
    ids=lambda v: str(v) if isinstance(v, dict) else "",
)
def test_bad_arguments(arguments: dict, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        RSWAF(**arguments)


def test_refine_refuses_fewer_functions() -> None:
    with pytest.raises(ValueError, match="num_grids must be at least 8, got 4"):
        RSWAF(num_grids=8).refine(4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_refit_reports_the_error_of_the_weights_it_returns(dtype: torch.dtype) -> None:
    """Collinear functions (1/h = 1, 32 centres): weights must not grow past what their dtype can hold."""
    basis, weight = RSWAF(num_grids=32, inv_denominator=1.0), torch.randn(2, 3, 32).to(dtype)
    params = basis.init(3, 2, dtype=torch.float64)
    z = torch.linspace(-1.2, 1.2, 200, dtype=torch.float64).unsqueeze(-1).expand(-1, 3)
    found, error = basis.refit(params, weight, z * 0.9, basis, params, z)
    before = torch.einsum("sik,oik->sio", basis.evaluate(z * 0.9, params), weight.double())
    after = torch.einsum("sik,oik->sio", basis.evaluate(z, params), found.double())
    assert ((after - before).norm() / before.norm()).item() == pytest.approx(error, rel=1e-6, abs=1e-12)
    assert error < {torch.bfloat16: 2e-2, torch.float32: 1e-5, torch.float64: 1e-6}[dtype]


def test_values_and_slopes_around_a_centre_for_exponents_up_to_one() -> None:
    """phi is right everywhere; the slope is 0 at the centre and right outside its last digits."""
    for z in (0.0, 1e-40, 1e-13, 1e-6):
        phi, slope, _ = derivatives_at(z, 0.5)
        t = math.tanh(2 * z)
        assert phi.item() == pytest.approx(1 - t**0.5, abs=1e-15)
        expected = 0.0 if z < 1e-60 else -0.5 * t**-0.5 * (1 - t * t) * 2
        assert z == 1e-40 or slope.item() == pytest.approx(expected, rel=1e-9)


def test_even_exponents_have_every_derivative_at_a_centre() -> None:
    z = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    basis = RSWAF(num_grids=3, grid_range=(-1.0, 1.0), inv_denominator=2.0, exponent=4)
    value = basis.evaluate(z, basis.init(1, 1, dtype=torch.float64))[0, 1]
    for _ in range(4):
        (value,) = torch.autograd.grad(value.sum(), z, create_graph=True)
    assert value.item() == pytest.approx(-24 * 2**4)


def test_long_sums_of_learned_grid_and_width_keep_their_digits() -> None:
    basis, rows = RSWAF(num_grids=4, train_grid=True, train_inv_denominator=True), 300_000
    params, z = basis.init(1, 1), torch.full((rows, 1), 0.3)
    sums = []
    with torch.no_grad():
        for part in (z, z[:1]):
            phi, saved = basis.evaluate_for_vjp(part, params)
            _, found = basis.vjp(part, params, phi, saved, torch.ones_like(phi), frozenset(basis.trainable))
            sums.append(found)
    many, one = sums
    for name in many:
        torch.testing.assert_close(many[name], one[name] * rows, rtol=2e-7, atol=0)
