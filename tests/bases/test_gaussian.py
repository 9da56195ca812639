"""Gaussians against their definition exp(-((z - u) / h)^2)."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from fasterkan import Basis, Gaussian
from fasterkan.testing import BasisBattery


class GaussianBattery(BasisBattery):
    basis = Gaussian()

    def formula(self, z: Tensor, params: dict[str, Tensor]) -> Tensor:
        return torch.exp(-(((z.unsqueeze(-1) - params["grid"]) / params["denominator"].unsqueeze(-1)) ** 2))


class TestDefault(GaussianBattery):
    pass


class TestLearned(GaussianBattery):
    basis = Gaussian(num_grids=5, grid_range=(-2, 3), denominator=0.8, train_grid=True, train_denominator=True)


class TestPerFeature(GaussianBattery):
    basis = Gaussian(num_grids=5, per_feature=True, train_grid=True, train_denominator=True)


class TestGivenGridAndBeyond(GaussianBattery):
    basis = Gaussian(grid=(-1.0, -0.7, 0.1, 2.0), beyond=2, train_grid=True)


@pytest.mark.parametrize("learn", [False, True])
def test_huge_inputs_give_zero_and_zero_gradients(learn: bool) -> None:
    basis = Gaussian(num_grids=4, train_grid=learn, train_denominator=learn)
    params = {k: t.requires_grad_() for k, t in basis.init(2, 1).items()}
    z = torch.tensor([[math.inf, -math.inf], [3e38, -3e38]], requires_grad=True)
    phi = basis.evaluate(z, params)
    assert torch.equal(phi, torch.zeros(2, 2, 4))
    for grad in torch.autograd.grad(phi.sum(), [z, *params.values()]):
        assert torch.equal(grad.abs(), torch.zeros_like(grad))
    with torch.no_grad():
        phi, saved = basis.evaluate_for_vjp(z, params)
        dz, found = basis.vjp(z, params, phi, saved, torch.ones_like(phi), frozenset({"z", *params}))
        assert torch.equal(basis.derivative(z, params).abs(), torch.zeros(2, 2, 4))
    assert all(torch.equal(g.abs(), torch.zeros_like(g)) for g in (phi, dz, *found.values()))


def test_auto_width_is_the_spacing() -> None:
    assert Gaussian(num_grids=8).init(3, 2)["denominator"].item() == pytest.approx(4 / 7)
    assert Gaussian(num_grids=8, beyond=1).init(3, 2)["denominator"].item() == pytest.approx(4 / 5)


def test_centres_beyond_continue_the_grid() -> None:
    basis = Gaussian(grid=(0.0, 1.0, 3.0), beyond=2)
    assert (basis.num_basis, basis.grid_range, basis.spacing) == (7, (0.0, 3.0), 1.5)
    params = basis.init(1, 1)
    assert params["grid"].tolist() == [-2.0, -1.0, 0.0, 1.0, 3.0, 5.0, 7.0]
    assert basis.grid_of(params).tolist() == [0.0, 1.0, 3.0]
    uniform = Gaussian(num_grids=6, grid_range=(0.0, 3.0), beyond=1).init(1, 1)["grid"]
    assert uniform.tolist() == pytest.approx([-1.0, 0.0, 1.0, 2.0, 3.0, 4.0])


def refit_error(coarse: Basis, fine: Basis) -> float:
    """Relative RMS error, over the grid's range, of writing random functions of one basis in the other."""
    params, new_params = (b.init(16, 4, dtype=torch.float64) for b in (coarse, fine))
    weight = torch.randn(4, 16, coarse.num_basis, dtype=torch.float64)
    z = torch.linspace(*coarse.grid_range, 801, dtype=torch.float64).unsqueeze(-1).expand(-1, 16)
    found, _ = coarse.refit(params, weight, z, fine, new_params, z)
    between = (z[1:] + z[:-1]) / 2
    before, after = (
        torch.einsum("sik,oik->sio", b.evaluate(between, p), w)
        for b, p, w in ((coarse, params, weight), (fine, new_params, found))
    )
    return ((after - before).norm() / before.norm()).item()


def test_refine_keeps_width_over_spacing_and_the_functions() -> None:
    for denominator in ("auto", 1.5):
        coarse = Gaussian(num_grids=5, denominator=denominator)
        fine = coarse.refine(50)
        assert fine.num_basis == 50 and fine.beyond > 0 and fine.grid_range == coarse.grid_range
        widths = [b.init(1, 1)["denominator"].item() / b.spacing for b in (coarse, fine)]
        assert widths[0] == pytest.approx(widths[1])
        assert refit_error(coarse, fine) < 1e-3


def test_refined_keeps_the_place_of_moved_grids() -> None:
    basis = Gaussian(num_grids=5)
    params = basis.init(2, 1, dtype=torch.float64)
    folded, moved = basis.fold(params, torch.tensor([1.0, -2.0]).double(), torch.tensor([0.5, 3.0]).double())
    fine, tensors = folded.refined(moved, 20, 2, 1)
    assert fine.per_feature and tensors["grid"].shape == (2, 20)
    torch.testing.assert_close(fine.grid_of(tensors)[:, [0, -1]], moved["grid"][:, [0, -1]])
    ratios = [b["denominator"] / b["grid"].diff().mean(-1) for b in (moved, tensors)]
    torch.testing.assert_close(*ratios)


def test_grid_to_moves_centres_and_keeps_width_over_spacing() -> None:
    basis = Gaussian(num_grids=7, beyond=2)
    params = basis.init(2, 1, dtype=torch.float64)
    grid = torch.tensor([[0.0, 1.0, 3.0], [-1.0, 0.0, 0.5]], dtype=torch.float64)
    new, tensors = basis.grid_to(params, grid)
    assert new.per_feature and torch.equal(new.grid_of(tensors), grid)
    assert tensors["grid"][0].tolist() == [-2.0, -1.0, 0.0, 1.0, 3.0, 5.0, 7.0]
    torch.testing.assert_close(tensors["denominator"], torch.tensor([1.5, 0.75], dtype=torch.float64))


def test_fold_is_exact() -> None:
    center, scale = torch.randn(3, dtype=torch.float64), torch.rand(3, dtype=torch.float64) + 0.5
    x = torch.randn(20, 3, dtype=torch.float64)
    for basis in (Gaussian(num_grids=5), Gaussian(num_grids=5, per_feature=True, denominator=0.3)):
        params = basis.init(3, 2, dtype=torch.float64)
        folded, tensors = basis.fold(params, center, scale)
        torch.testing.assert_close(folded.evaluate(x, tensors), basis.evaluate((x - center) * scale, params))
        assert folded.per_feature and tensors["grid"].shape == (3, 5) and tensors["denominator"].shape == (3,)


def test_long_sums_of_learned_grid_and_width_keep_their_digits() -> None:
    basis, rows = Gaussian(num_grids=4, train_grid=True, train_denominator=True), 300_000
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


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"num_grids": 1}, ValueError, "Gaussian: num_grids must be at least 2, got 1"),
        ({"num_grids": True}, TypeError, "whole number, got True"),
        ({"num_grids": 6, "beyond": 3}, ValueError, "num_grids=6 with beyond=3 leaves 0 centres on the range"),
        ({"beyond": -1}, ValueError, "beyond must be at least 0, got -1"),
        ({"grid_range": (1.2, -1.2)}, ValueError, r"must increase from left to right, got \(1.2, -1.2\)"),
        ({"grid_range": (0, 1, 2)}, ValueError, "grid_range must be two numbers"),
        ({"denominator": 0}, ValueError, "denominator must be above 0, got 0"),
        ({"denominator": "wide"}, ValueError, "or \"auto\", got 'wide'"),
        ({"train_grid": 1}, TypeError, "train_grid must be True or False, got 1"),
        ({"grid": (0, 0)}, ValueError, "grid must increase"),
        ({"grid": (0, 1, 2), "num_grids": 5}, ValueError, "grid has 3 centres, num_grids is 5"),
    ],
    ids=lambda v: str(v) if isinstance(v, dict) else "",
)
def test_bad_arguments(arguments: dict, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        Gaussian(**arguments)


def test_refine_refuses_fewer_centres() -> None:
    with pytest.raises(ValueError, match=r"Gaussian.refine: num_grids must be at least 8, got 4"):
        Gaussian().refine(4)
