"""B-splines against Cox and de Boor's recursion and against scipy."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from fasterkan import BSpline
from fasterkan.testing import BasisBattery

from .splines import with_ends

FREE = (-1.0, -0.9, -0.2, 0.1, 1.0)


class BSplineBattery(BasisBattery):
    basis = BSpline()
    smoothness = 2

    def formula(self, z: Tensor, params: dict[str, Tensor]) -> Tensor:
        return with_ends(z, params["knots"], self.basis.degree, self.basis.outside)


class TestDefault(BSplineBattery):
    pass


class TestQuinticOneInterval(BSplineBattery):
    basis = BSpline(grid_size=1, degree=5, grid_range=(0.5, 2.0))


class TestQuadraticLinearOutside(BSplineBattery):
    basis = BSpline(grid_size=4, degree=2, outside="linear")
    smoothness = 1
    kinks = (-1.0, 1.0)


class TestCubicConstantOutside(BSplineBattery):
    basis = BSpline(grid_size=3, outside="constant")
    smoothness = 0
    kinks = (-1.0, 1.0)


class TestDegreeOne(BSplineBattery):
    basis = BSpline(grid_size=3, degree=1, grid_range=(-1.5, 1.5))
    smoothness = 0
    kinks = (-2.5, -1.5, -0.5, 0.5, 1.5, 2.5)


class TestSteps(BSplineBattery):
    basis = BSpline(grid_size=4, degree=0)
    smoothness = 0
    kinks = (-1.0, -0.5, 0.0, 0.5, 1.0)


class TestFreeKnots(BSplineBattery):
    basis = BSpline(knots=FREE)


class TestFreeKnotsLinearOutside(BSplineBattery):
    basis = BSpline(knots=FREE, outside="linear")
    smoothness = 1
    kinks = (-1.0, 1.0)


class TestPerFeature(BSplineBattery):
    basis = BSpline(grid_size=3, per_feature=True)


class TestFreeKnotsPerFeature(BSplineBattery):
    basis = BSpline(knots=FREE, degree=4, per_feature=True)

    def params(self, dtype: torch.dtype = torch.float64, learn: bool = False) -> dict[str, Tensor]:
        knots = super().params(torch.float64)["knots"]
        return {"knots": (knots * torch.tensor([[1.0], [0.7], [1.3]]) + 0.1).to(dtype)}


def against_scipy(basis: BSpline, dtype: torch.dtype, points: int = 1001) -> float:
    """The largest error on the range, knots and borders included, of values by evaluate and for the vjp."""
    interpolate = pytest.importorskip("scipy.interpolate")
    params, degree = basis.init(1, 1, dtype=dtype), basis.degree
    exact = basis.init(1, 1, dtype=torch.float64)["knots"].numpy()
    inner = torch.from_numpy(exact[degree : degree + basis.grid_size + 1]).to(dtype)
    z = torch.cat([torch.linspace(*basis.grid_range, points, dtype=dtype), inner])
    z = z.clamp(inner[0], inner[-1])
    units = interpolate.BSpline(exact, np.eye(basis.num_basis), degree, extrapolate=True)
    expected = torch.from_numpy(units(z.double().numpy()))
    with torch.no_grad():
        found = [basis.evaluate(z[:, None], params), basis.evaluate_for_vjp(z[:, None], params)[0]]
    return max((phi[:, 0].double() - expected).abs().max().item() for phi in found)


@pytest.mark.parametrize("grid_size", [1, 2, 5, 50])
@pytest.mark.parametrize("degree", range(6))
def test_scipy_agrees_in_float64(degree: int, grid_size: int) -> None:
    for grid_range in ((-1.0, 1.0), (-1.2, 1.2), (0.1, 0.7)):
        assert against_scipy(BSpline(grid_size, degree, grid_range), torch.float64) < 1e-12


@pytest.mark.parametrize("degree", range(6))
def test_scipy_agrees_in_float64_on_free_knots(degree: int) -> None:
    assert against_scipy(BSpline(knots=(-3.0, -2.9, -1.0, 0.5, 0.75, 4.0), degree=degree), torch.float64) < 1e-12


@pytest.mark.parametrize("degree", range(1, 6))
def test_float32_keeps_its_digits_on_128_intervals(degree: int) -> None:
    for grid_range in ((-1.0, 1.0), (-1.2, 1.2), (0.0, 1.0)):
        assert against_scipy(BSpline(128, degree, grid_range), torch.float32, 5001) < 1e-5


def test_high_degrees_add_up_to_one() -> None:
    z = torch.linspace(-1, 1, 101, dtype=torch.float64).unsqueeze(-1)
    for degree in (10, 20):
        basis = BSpline(grid_size=3, degree=degree)
        phi = basis.evaluate(z, basis.init(1, 1, dtype=torch.float64))
        torch.testing.assert_close(phi.sum(-1), torch.ones_like(z), rtol=0, atol=1e-12)
        assert phi.min() > -1e-12


@pytest.mark.parametrize("knots", [None, (-1.0, -0.5, 0.0, 0.5, 1.0)], ids=["uniform", "free"])
def test_outside(knots: tuple[float, ...] | None) -> None:
    """Beyond the ends: run out, go on with the slope, or stay."""
    z = torch.tensor([[-1.0, -1.25, -1.5, -2.5, -9.0, 1.0, 1.25, 1.5, 2.5, 9.0]], dtype=torch.float64).T
    bases = {o: BSpline(grid_size=4, degree=2, outside=o, knots=knots) for o in ("zero", "linear", "constant")}
    value = {o: b.evaluate(z, b.init(1, 1, dtype=torch.float64))[:, 0] for o, b in bases.items()}
    slope = {o: b.derivative(z, b.init(1, 1, dtype=torch.float64))[:, 0] for o, b in bases.items()}
    assert value["zero"][0].tolist() == value["linear"][0].tolist() == value["constant"][0].tolist()
    # Half an interval beyond the left end the first function is at its top, the second starts.
    assert value["zero"][1].tolist() == [0.75, 0.125, 0, 0, 0, 0]
    assert not value["zero"][[3, 4, 8, 9]].any() and not slope["zero"][[3, 4, 8, 9]].any()
    torch.testing.assert_close(value["linear"][4], value["linear"][0] - 8 * slope["linear"][0])
    torch.testing.assert_close(value["linear"][9], value["linear"][5] + 8 * slope["linear"][5])
    assert (slope["linear"][1:5] == slope["linear"][0]).all() and (slope["linear"][6:] == slope["linear"][5]).all()
    assert (value["constant"][:5] == value["constant"][0]).all() and (
        value["constant"][5:] == value["constant"][5]
    ).all()
    assert not slope["constant"][[1, 2, 3, 4, 6, 7, 8, 9]].any() and slope["constant"][0].any()
    torch.testing.assert_close(value["linear"].sum(-1), torch.ones(10, dtype=torch.float64))


@pytest.mark.parametrize("outside", ["zero", "linear", "constant"])
@pytest.mark.parametrize("knots", [None, FREE], ids=["uniform", "free"])
@pytest.mark.parametrize("degree", [0, 1, 3])
def test_huge_inputs_are_finite_and_keep_to_themselves(degree: int, knots: tuple | None, outside: str) -> None:
    basis = BSpline(degree=degree, knots=knots, outside=outside)
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
    torch.testing.assert_close(dz[:3], auto[:3])
    if outside == "zero":
        assert not phi[1:3].any()


def test_gradients_at_the_ends_are_those_of_the_inside() -> None:
    for degree in (1, 2, 3):
        for outside in ("zero", "linear", "constant"):
            for knots in (None, FREE):
                basis = BSpline(grid_size=5 if knots is None else 4, degree=degree, outside=outside, knots=knots)
                params = basis.init(2, 1, dtype=torch.float64)
                ends = torch.tensor([[-1.0, 1.0]], dtype=torch.float64)
                inside = ends * (1 - 1e-9)
                slopes = [basis.derivative(z, params) for z in (ends, inside)]
                torch.testing.assert_close(*slopes, rtol=1e-6, atol=1e-6)
                tangent = torch.func.jvp(partial(basis.evaluate, params=params), (ends,), (torch.ones_like(ends),))[1]
                torch.testing.assert_close(tangent, slopes[0])


def test_every_derivative_of_a_cubic_exists() -> None:
    """The third derivative of the middle cubic on unit knots is 1, -3, 3, -1, from knot to knot."""
    basis = BSpline(grid_size=4, grid_range=(0.0, 4.0))
    z = torch.tensor([[0.5], [1.5], [2.5], [3.5]], dtype=torch.float64, requires_grad=True)
    value = basis.evaluate(z, basis.init(1, 1, dtype=torch.float64))[..., 3]
    for _ in range(3):
        (value,) = torch.autograd.grad(value.sum(), z, create_graph=True)
    assert value.flatten().tolist() == pytest.approx([1.0, -3.0, 3.0, -1.0], abs=1e-12)


def test_local_names_the_functions_that_are_not_zero() -> None:
    for basis in (BSpline(), BSpline(outside="linear"), BSpline(knots=FREE)):
        params, z = basis.init(3, 1, dtype=torch.float64), torch.randn(50, 3, dtype=torch.float64)
        index, value, _ = basis.local(z, params)
        assert index.shape == value.shape == (50, 3, 4) and index.min() >= 0 and index.max() < basis.num_basis
        assert (index.sort(-1).values.diff() > 0).all()
        phi = torch.zeros(50, 3, basis.num_basis, dtype=torch.float64).scatter(-1, index, value)
        assert torch.equal(phi, basis.evaluate(z, params))


@pytest.mark.parametrize(
    "basis",
    [BSpline(), BSpline(degree=2, outside="linear"), BSpline(knots=FREE)],
    ids=["zero", "linear", "free"],
)
def test_compiles_in_one_graph(basis: BSpline) -> None:
    params, z = basis.init(3, 1), torch.randn(20, 3)
    compiled = torch.compile(basis.evaluate, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(z, params), basis.evaluate(z, params))


def test_fold_is_exact() -> None:
    center, scale = torch.randn(3, dtype=torch.float64), torch.rand(3, dtype=torch.float64) + 0.5
    x = torch.randn(40, 3, dtype=torch.float64)
    for basis in (
        BSpline(),
        BSpline(outside="linear"),
        BSpline(knots=FREE),
        BSpline(degree=0),
        BSpline(per_feature=True),
    ):
        params = basis.init(3, 2, dtype=torch.float64)
        folded, tensors = basis.fold(params, center, scale)
        torch.testing.assert_close(folded.evaluate(x, tensors), basis.evaluate((x - center) * scale, params))
        assert folded.per_feature and folded.knots == basis.knots
        assert tensors["knots"].shape == (3, basis.num_basis + basis.degree + 1)


@pytest.mark.parametrize("per_feature", [False, True])
@pytest.mark.parametrize("knots", [None, FREE], ids=["uniform", "free"])
@pytest.mark.parametrize("degree", range(5))
def test_nested_refinement_is_exact(degree: int, knots: tuple | None, per_feature: bool) -> None:
    basis = BSpline(grid_size=4 if knots is None else 5, degree=degree, knots=knots, per_feature=per_feature)
    params, weight = basis.init(3, 2, dtype=torch.float64), torch.randn(2, 3, basis.num_basis, dtype=torch.float64)
    if per_feature:
        basis, params = basis.fold(params, torch.rand(3).double(), torch.rand(3).double() + 0.5)
    new, new_params = basis.refined(params, 20, 3, 2)
    assert (new.grid_size, new.num_basis) == (20, 20 + degree)
    grid = basis.grid_of(params).expand(3, -1)
    z = torch.stack([torch.linspace(a, b, 301, dtype=torch.float64) for a, b in grid[:, [0, -1]].tolist()], -1)
    found, error = basis.refit(params, weight, z, new, new_params, z)
    between = (z[1:] + z[:-1]) / 2
    before = torch.einsum("sik,oik->sio", basis.evaluate(between, params), weight)
    after = torch.einsum("sik,oik->sio", new.evaluate(between, new_params), found)
    assert error < 1e-12
    torch.testing.assert_close(after, before, rtol=0, atol=1e-12 * float(weight.abs().max()))


def test_grid_to_keeps_uniform_grids_fast_and_others_exact() -> None:
    basis = BSpline(grid_size=4)
    params = basis.init(2, 1)
    even = torch.stack([torch.linspace(-1, 2, 5), torch.linspace(0.1, 0.3, 5)])
    new, tensors = basis.grid_to(params, even)
    assert new == BSpline(grid_size=4, per_feature=True)
    torch.testing.assert_close(new.grid_of(tensors), even)
    uneven = torch.tensor([[-1.0, 0.0, 0.1, 0.5, 2.0], [-1.0, -0.9, 0.0, 1.0, 1.1]])
    new, tensors = basis.grid_to(params, uneven)
    assert new.knots is not None and new.grid_range == (-1.0, pytest.approx(1.55))
    z = torch.rand(50, 2) * 2 - 1
    torch.testing.assert_close(new.evaluate(z, tensors), with_ends(z, tensors["knots"], 3, "zero"))
    with pytest.raises(ValueError, match="must increase from left to right; points coincide"):
        basis.grid_to(params, torch.tensor([[0.0, 0.0, 1.0, 2.0, 3.0]]))


def test_sites_are_greville_points() -> None:
    basis = BSpline(grid_size=2, degree=3, grid_range=(0.0, 2.0))
    assert basis.sites(basis.init(1, 1)).tolist() == [-1.0, 0.0, 1.0, 2.0, 3.0]
    steps = BSpline(grid_size=2, degree=0, grid_range=(0.0, 2.0), per_feature=True)
    assert steps.sites(steps.init(2, 1)).tolist() == [[0.5, 1.5]] * 2


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"degree": -1}, ValueError, "BSpline: degree must be at least 0, got -1"),
        ({"degree": 2.0}, TypeError, "degree must be a whole number, got 2.0"),
        ({"grid_size": 0}, ValueError, "BSpline: grid_size must be at least 1, got 0"),
        ({"grid_range": (1, 1)}, ValueError, r"grid_range must increase from left to right, got \(1.0, 1.0\)"),
        ({"grid_range": (0, 1, 2)}, ValueError, "grid_range must be two numbers"),
        (
            {"knots": (0, 0.5, 0.5, 1)},
            ValueError,
            r"knots must increase from left to right, got \(0.0, 0.5, 0.5, 1.0\)",
        ),
        ({"knots": (0, math.nan)}, ValueError, r"knots\[1\] must be finite"),
        ({"knots": (0, 1, 2), "grid_size": 4}, ValueError, r"2 intervals\), but grid_size is 4"),
        ({"outside": "reflect"}, ValueError, 'outside must be "zero", "linear" or "constant", got \'reflect\''),
        ({"per_feature": 1}, TypeError, "per_feature must be True or False, got 1"),
    ],
    ids=lambda v: str(v) if isinstance(v, dict) else "",
)
def test_bad_arguments(arguments: dict, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        BSpline(**arguments)


def test_refine_refuses_fewer_intervals() -> None:
    with pytest.raises(ValueError, match=r"BSpline.refine: grid_size must be at least 5, got 4"):
        BSpline().refine(4)
