"""Basis.refit: exact where functions are nested, bounded where the points determine little."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from fasterkan import RSWAF, Basis, BSpline, Chebyshev, Gaussian, Hat, Wavelet

from ..seeds import seed_of

ORDERED = {"rswaf": RSWAF(8), "gaussian": Gaussian(8), "bspline": BSpline(8), "hat": Hat(8)}
FINE = {"rswaf": RSWAF(32), "gaussian": Gaussian(32), "bspline": BSpline(32), "hat": Hat(32)}


def column(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).unsqueeze(-1)


POINTS = {
    "one": column(0.3),
    "two-close": column(0.3, 0.3 + 1e-9),
    "repeated": column(*[0.3] * 40),
    "fewer-than-functions": column(-0.9, -0.2, 0.1, 0.8),
    "two-clusters": column(-0.5, -0.5 + 1e-6, 0.5, 0.5 + 1e-6),
    "tails": column(-2.6, -2.4, -2.3, -2.2),
    "nan-rows": column(0.1, math.nan, 0.5, math.inf),
}


def start(basis: Basis, features: int = 1, outputs: int = 3) -> tuple[dict[str, Tensor], Tensor]:
    generator = torch.Generator().manual_seed(seed_of(0))
    weight = torch.randn(outputs, features, basis.num_basis, dtype=torch.float64, generator=generator)
    return basis.init(features, outputs, dtype=torch.float64), weight


def edges(basis: Basis, params: dict[str, Tensor], weight: Tensor, z: Tensor) -> Tensor:
    phi = basis.evaluate(z, params)
    phi = phi if basis.per_edge else phi.unsqueeze(-3)  # [S, O or 1, I, K]
    return (phi * weight).sum(-1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("points", POINTS)
@pytest.mark.parametrize("family", ORDERED)
def test_functions_stay_bounded_whatever_the_points(family: str, points: str, dtype: torch.dtype) -> None:
    old, new = ORDERED[family], FINE[family]
    (params, weight), (new_params, _) = start(old), start(new)
    found, error = old.refit(params, weight.to(dtype), POINTS[points], new, new_params, POINTS[points])
    assert found.dtype == dtype and found.shape == (3, 1, new.num_basis)
    assert math.isfinite(error) and (error < 1e-5 or points == "tails")
    # Splines with weights up to M are nowhere steeper than 2 M in a spacing of 1/4, and the far end is at most 1.3 away
    # from a point, so that a straight line through what the points determine ends below (1 + 1.3 * 8) M.
    bound = 20 if points == "tails" else 12
    assert found.abs().max() < bound * weight.abs().max()
    low, high = new.grid_range
    between = torch.linspace(low, high, 999, dtype=torch.float64).unsqueeze(-1)
    height = edges(old, params, weight, between).abs().max()
    assert edges(new, new_params, found.double(), between).abs().max() < bound * height


def test_importance_weighs_the_points() -> None:
    (params, weight), new = start(RSWAF(8), outputs=100), RSWAF(3)
    z = torch.linspace(-1, 1, 100, dtype=torch.float64).unsqueeze(-1)
    left = (z[:, 0] < 0).double()
    errors = []
    for importance in (1 - left + 1e-6, left + 1e-6, (left + 1e-6).unsqueeze(-1)):
        found, _ = RSWAF(8).refit(params, weight, z, new, start(new)[0], z, importance)
        difference = edges(new, start(new)[0], found, z) - edges(RSWAF(8), params, weight, z)
        errors.append(difference[left.bool()].norm().item())
    assert errors[1] < 0.3 * errors[0] and errors[1] == pytest.approx(errors[2], rel=1e-9)


def test_edges_of_their_own_are_kept_edge_by_edge() -> None:
    old, z = Wavelet(), torch.linspace(-2, 2, 60, dtype=torch.float64).unsqueeze(-1).expand(-1, 2)
    params, weight = start(old, 2)
    params["translation"] += torch.linspace(-0.3, 0.3, 6, dtype=torch.float64).view_as(params["translation"])
    new = BSpline(40, grid_range=(-2.0, 2.0))
    found, error = old.refit(params, weight, z, new, start(new, 2)[0], z)
    wanted, got = edges(old, params, weight, z), edges(new, start(new, 2)[0], found, z)
    assert error < 1e-3
    assert ((got - wanted).norm() / wanted.norm()).item() == pytest.approx(error, rel=1e-6)


def test_families_change_into_each_other() -> None:
    (params, weight), new = start(Chebyshev(5, domain=None)), BSpline(4, degree=5)
    z = torch.linspace(-1, 1, 80, dtype=torch.float64).unsqueeze(-1)
    found, error = Chebyshev(5, domain=None).refit(params, weight, z, new, start(new)[0], z)
    assert error < 1e-12
    assert new.refit(start(new)[0], found, z, Chebyshev(5, domain=None), params, z)[1] < 1e-12


def test_zero_functions_stay_zero() -> None:
    params, weight = start(RSWAF(8))
    z = torch.linspace(-1, 1, 80, dtype=torch.float64).unsqueeze(-1)
    found, error = RSWAF(8).refit(params, weight * 0, z, RSWAF(16), start(RSWAF(16))[0], z)
    assert torch.equal(found, torch.zeros(3, 1, 16, dtype=torch.float64)) and error == 0


def test_what_cannot_be_compared_is_refused() -> None:
    basis = RSWAF(8)
    params, weight = start(basis)
    for z in (torch.empty(0, 1), torch.full((3, 1), math.nan)):
        with pytest.raises(ValueError, match=rf"no finite row among the {len(z)} points"):
            basis.refit(params, weight, z, basis, params, z)
    with pytest.raises(ValueError, match="the weights contain NaN or infinity"):
        basis.refit(params, weight * math.nan, torch.zeros(1, 1), basis, params, torch.zeros(1, 1))
