"""Hats against the B-splines of degree 1 by their recursion, and against linear interpolation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from fasterkan import BSpline, Hat
from fasterkan.testing import BasisBattery

from .splines import with_ends

GRID = (-1.0, -0.9, 0.1, 1.0)


def with_neighbours(grid: Tensor) -> Tensor:
    """The grid with one more point beyond each end, as far away as its last but one."""
    return torch.cat([2 * grid[..., :1] - grid[..., 1:2], grid, 2 * grid[..., -1:] - grid[..., -2:-1]], -1)


class HatBattery(BasisBattery):
    smoothness = 0

    def formula(self, z: Tensor, params: dict[str, Tensor]) -> Tensor:
        return with_ends(z, with_neighbours(params["grid"]), 1, self.basis.outside)


class TestDefault(HatBattery):
    basis = Hat()
    kinks = tuple(-1.2 + i * 2.4 / 7 for i in range(8))


class TestTwoPointsLinearOutside(HatBattery):
    basis = Hat(num_grids=2, grid_range=(-1, 2), outside="linear")
    kinks = (-1.0, 2.0)


class TestZeroOutside(HatBattery):
    basis = Hat(num_grids=3, grid_range=(-1, 1), outside="zero")
    kinks = (-2.0, -1.0, 0.0, 1.0, 2.0)


class TestGivenGrid(HatBattery):
    basis = Hat(grid=GRID)
    kinks = GRID


class TestGivenGridZeroOutside(HatBattery):
    basis = Hat(grid=GRID, outside="zero")
    kinks = (-1.1, *GRID, 1.9)


class TestPerFeature(HatBattery):
    basis = Hat(num_grids=5, grid_range=(-1, 1), per_feature=True, outside="linear")
    kinks = (-1.0, -0.5, 0.0, 0.5, 1.0)


@pytest.mark.parametrize(
    "basis", [Hat(), Hat(num_grids=129), Hat(grid=GRID), Hat(num_grids=3, outside="zero")], ids=str
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_interpolates_its_weights(basis: Hat, dtype: torch.dtype) -> None:
    params, weight = basis.init(1, 1, dtype=dtype), torch.rand(basis.num_grids, dtype=torch.float64)
    grid = params["grid"]
    z = torch.cat([torch.linspace(grid[0], grid[-1], 5001, dtype=dtype), grid]).clamp(grid[0], grid[-1])
    found = basis.evaluate(z.unsqueeze(-1), params)[:, 0].double() @ weight
    exact = basis.init(1, 1, dtype=torch.float64)["grid"].numpy()
    expected = np.interp(z.double().numpy(), exact, weight.numpy())
    assert abs(found.numpy() - expected).max() < (1e-5 if dtype == torch.float32 else 1e-12)


def test_outside() -> None:
    z = torch.tensor([[-3.0], [-1.5], [1.5], [3.0]], dtype=torch.float64)
    found = {}
    for outside in ("zero", "linear", "constant"):
        basis = Hat(num_grids=3, grid_range=(-1, 1), outside=outside)
        found[outside] = basis.evaluate(z, basis.init(1, 1, dtype=torch.float64))[:, 0].tolist()
    assert found["zero"] == [[0, 0, 0], [0.5, 0, 0], [0, 0, 0.5], [0, 0, 0]]
    assert found["linear"] == [[3, -2, 0], [1.5, -0.5, 0], [0, -0.5, 1.5], [0, -2, 3]]
    assert found["constant"] == [[1, 0, 0], [1, 0, 0], [0, 0, 1], [0, 0, 1]]


def test_slopes_at_grid_points_are_those_of_one_side() -> None:
    for grid in (None, (-1.0, -0.5, 0.0, 0.5, 1.0)):
        basis = Hat(num_grids=5, grid_range=(-1, 1), grid=grid)
        params, z = basis.init(1, 1, dtype=torch.float64), torch.linspace(-1, 1, 5, dtype=torch.float64).unsqueeze(-1)
        slope = basis.derivative(z, params)[:, 0]
        for k in range(5):
            assert slope[k].tolist() == [{min(k, 3): -2.0, min(k, 3) + 1: 2.0}.get(i, 0.0) for i in range(5)]


@pytest.mark.parametrize("outside", ["zero", "linear", "constant"])
def test_huge_inputs_are_finite_and_keep_to_themselves(outside: str) -> None:
    basis = Hat(outside=outside)
    params = basis.init(2, 1)
    z = torch.tensor([[0.3, -0.7], [3e38, -3e38], [math.inf, -math.inf], [math.nan, 0.2]], requires_grad=True)
    phi = basis.evaluate(z, params)
    (auto,) = torch.autograd.grad(phi.sum(), z)
    with torch.no_grad():
        lean, saved = basis.evaluate_for_vjp(z, params)
        dz, _ = basis.vjp(z, params, lean, saved, torch.ones_like(lean), frozenset({"z"}))
    for values, slopes in ((phi, auto), (lean, dz)):
        assert torch.isfinite(values[:3]).all() and torch.isfinite(slopes[:3]).all()
        assert torch.isnan(values[3, 0]).all() and torch.isfinite(values[3, 1]).all() and torch.isfinite(slopes[3, 1])
    assert torch.isnan(dz[3, 0])


def test_hats_are_linear_splines() -> None:
    z = torch.randn(100, 2, dtype=torch.float64)
    for outside in ("zero", "linear", "constant"):
        hat, spline = Hat(6, (-1, 1), outside), BSpline(5, 1, (-1, 1), outside)
        values = [b.evaluate(z, b.init(2, 1, dtype=torch.float64)) for b in (hat, spline)]
        torch.testing.assert_close(*values)


def test_fold_is_exact() -> None:
    center, scale = torch.randn(3, dtype=torch.float64), torch.rand(3, dtype=torch.float64) + 0.5
    x = torch.randn(40, 3, dtype=torch.float64)
    for basis in (Hat(), Hat(outside="zero"), Hat(grid=GRID, outside="linear"), Hat(per_feature=True)):
        params = basis.init(3, 2, dtype=torch.float64)
        folded, tensors = basis.fold(params, center, scale)
        torch.testing.assert_close(folded.evaluate(x, tensors), basis.evaluate((x - center) * scale, params))
        assert folded.per_feature and tensors["grid"].shape == (3, basis.num_grids)


@pytest.mark.parametrize("outside", ["linear", "constant"])
@pytest.mark.parametrize("grid", [None, (-1.0, -0.9, 0.1, 0.2, 1.0)], ids=["uniform", "given"])
def test_nested_refinement_is_exact(grid: tuple | None, outside: str) -> None:
    basis = Hat(num_grids=5, grid=grid, outside=outside)
    params, weight = basis.init(3, 2, dtype=torch.float64), torch.randn(2, 3, 5, dtype=torch.float64)
    basis, params = basis.fold(params, torch.rand(3).double(), torch.rand(3).double() + 0.5)
    new, new_params = basis.refined(params, 13, 3, 2)
    assert new.num_grids == 13 and torch.equal(new_params["grid"][:, ::3], params["grid"])
    z = torch.stack(
        [torch.linspace(a, b, 201, dtype=torch.float64) for a, b in params["grid"][:, [0, -1]].tolist()], -1
    )
    found, error = basis.refit(params, weight, z, new, new_params, z)
    assert error < 1e-12
    x = torch.randn(200, 3, dtype=torch.float64)  # beyond the ends too
    before = torch.einsum("sik,oik->sio", basis.evaluate(x, params), weight)
    after = torch.einsum("sik,oik->sio", new.evaluate(x, new_params), found)
    torch.testing.assert_close(after, before, rtol=1e-11, atol=1e-12)


def test_grid_to_keeps_uniform_grids_fast_and_others_exact() -> None:
    basis = Hat(num_grids=4)
    params = basis.init(2, 1)
    new, tensors = basis.grid_to(params, torch.tensor([[0.0, 1.0, 2.0, 3.0], [-1.0, -0.5, 0.0, 0.5]]))
    assert new == Hat(num_grids=4, per_feature=True) and tensors["grid"][1, 0] == -1
    uneven = torch.tensor([[0.0, 1.0, 2.0, 5.0], [-1.0, -0.5, 0.0, 0.5]])
    new, tensors = basis.grid_to(params, uneven)
    assert new.grid == (-0.5, 0.25, 1.0, 2.75) and torch.equal(basis.sites(tensors), uneven)
    z = torch.rand(50, 2) * 3 - 1
    torch.testing.assert_close(new.evaluate(z, tensors), with_ends(z, with_neighbours(uneven), 1, "constant"))
    with pytest.raises(ValueError, match="must increase from left to right; points coincide"):
        basis.grid_to(params, torch.tensor([[0.0, 0.0, 1.0, 2.0]]))


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"num_grids": 1}, ValueError, "Hat: num_grids must be at least 2, got 1"),
        ({"grid_range": (1.2, -1.2)}, ValueError, r"must increase from left to right, got \(1.2, -1.2\)"),
        ({"grid_range": (0, 1, 2)}, ValueError, "grid_range must be two numbers"),
        ({"grid": (0, 0)}, ValueError, r"grid must increase from left to right, got \(0.0, 0.0\)"),
        ({"grid": (0, 1, 2), "num_grids": 5}, ValueError, "grid has 3 points, num_grids is 5"),
        ({"outside": "wrap"}, ValueError, 'outside must be "zero", "linear" or "constant", got \'wrap\''),
        ({"per_feature": None}, TypeError, "per_feature must be True or False, got None"),
    ],
    ids=lambda v: str(v) if isinstance(v, dict) else "",
)
def test_bad_arguments(arguments: dict, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        Hat(**arguments)


def test_refine_refuses_fewer_points() -> None:
    with pytest.raises(ValueError, match=r"Hat.refine: num_grids must be at least 8, got 4"):
        Hat().refine(4)
