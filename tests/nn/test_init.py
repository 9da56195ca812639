"""Initialisation: sizes of activations and gradients through depth, and where the gain comes from."""

from __future__ import annotations

import math

import pytest
import torch

import fasterkan as fk
from fasterkan.nn.init import Distribution, base_weight_std, critical_gain, second_moments, weight_std

from ..seeds import seed_of


@pytest.mark.parametrize("norm", ["layer", "rms"])
@pytest.mark.parametrize("depth", [2, 5, 10, 20])
@pytest.mark.parametrize("seed", [0, 1])
def test_activations_and_gradients_keep_their_size(norm: str, depth: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed_of(seed))
    net = fk.KAN([256] * (depth + 1), norm=norm, generator=generator)
    x = torch.randn(512, 256, generator=generator).requires_grad_()
    y = net(x)
    dy = torch.randn(y.shape, generator=generator)
    (dx,) = torch.autograd.grad(y, x, dy)
    assert 0.5 <= y.var().item() <= 2
    assert 0.1 <= (dx.var() / dy.var()).item() <= 10


def test_gain_of_the_best_conditioned_width() -> None:
    """For 8 centres on [-1.2, 1.2] and h = 1.2 d the gain at which gradients keep their size is near .46."""
    basis = fk.RSWAF()
    gain = critical_gain(basis)
    assert gain == pytest.approx(0.462, abs=0.002)
    value, gradient = second_moments(basis, Distribution(width=gain))
    assert gain**2 * gradient / value == pytest.approx(1, abs=1e-9)


def test_growth_per_layer_at_gain_one() -> None:
    """Measured before: at gain 1 the variance of gradients grows 4.7 times a layer (0.73 at 1/h = 1, 0.14 at 0.5)."""
    for inverse, growth in ((2.43, 4.7), (1.0, 0.73), (0.5, 0.14)):
        value, gradient = second_moments(fk.RSWAF(inv_denominator=inverse), Distribution(width=1.0))
        assert gradient / value == pytest.approx(growth, rel=0.1)


def test_moments_against_sampling() -> None:
    basis, z = fk.RSWAF(), torch.randn(400_000, 1, dtype=torch.float64)
    phi = basis.evaluate(z, basis.init(1, 1, dtype=torch.float64))
    assert second_moments(basis, Distribution())[0] == pytest.approx(phi.square().sum(-1).mean().item(), rel=1e-2)
    uniform = Distribution(0.5, 2.0, uniform=True)
    phi = basis.evaluate(torch.rand(400_000, 1, dtype=torch.float64) * 4 - 1.5, basis.init(1, 1, dtype=torch.float64))
    assert second_moments(basis, uniform)[0] == pytest.approx(phi.square().sum(-1).mean().item(), rel=1e-2)


def test_weights_have_the_computed_spread() -> None:
    layer = fk.KANLinear(64, 512)
    expected = weight_std(layer.basis, 64, layer.norm.start(layer.basis))
    assert layer.weight.std().item() == pytest.approx(expected, rel=0.01)
    assert layer.bias.abs().max() == 0


def test_base_branch_shares_the_variance() -> None:
    x = torch.randn(4096, 64)
    assert fk.KANLinear(64, 512, base="silu")(x).var().item() == pytest.approx(1, rel=0.1)


def test_functions_that_miss_the_data_are_refused() -> None:
    with pytest.raises(ValueError, match="functions vanish where the norm puts the data"):
        fk.KANLinear(4, 3, fk.RSWAF(grid_range=(1e6, 1e6 + 1)))


def test_generator_decides_every_weight() -> None:
    def make(seed: int) -> torch.Tensor:
        return fk.KANLinear(5, 4, base="silu", generator=torch.Generator().manual_seed(seed_of(seed))).weight

    assert torch.equal(make(3), make(3))
    assert not torch.equal(make(3), make(4))


def test_default_device_meta_does_not_disturb_the_quadrature() -> None:
    critical_gain.cache_clear()
    second_moments.cache_clear()
    with torch.device("meta"):
        net = fk.KAN([4, 3, 2])
    assert all(p.is_meta for p in net.parameters())
    assert math.isfinite(critical_gain(fk.RSWAF()))


ORDERED = {
    "rswaf": lambda count: fk.RSWAF(count, (-1.0, 1.0)),
    "gaussian": lambda count: fk.Gaussian(count, (-1.0, 1.0)),
    "bspline": lambda count: fk.BSpline(count - 3),
    "hat": lambda count: fk.Hat(count, (-1.0, 1.0)),
}


@pytest.mark.parametrize("num_grids", [16, 32, 128])
@pytest.mark.parametrize("family", ORDERED)
def test_fine_grids_are_in_use(family: str, num_grids: int) -> None:
    """z = +-3 gains spans the grid, and gradients keep their size as they do on a grid of 8."""
    assert critical_gain(ORDERED[family](num_grids)) == pytest.approx(0.37, abs=0.02)


@pytest.mark.parametrize("count", [9, 32, 128])
@pytest.mark.parametrize("family", ORDERED)
def test_edges_start_smooth_on_a_fine_grid(family: str, count: int) -> None:
    """Var y = 1, and E f'^2 / E f^2 as with 8 bumps (6.5); with independent weights it was 2200 to 12000 at K = 128."""
    basis, generator = ORDERED[family](count), torch.Generator().manual_seed(seed_of(0))
    layer = fk.KANLinear(40, 60, basis, norm=fk.FeatureNorm("range"), dtype=torch.float64, generator=generator)
    x = torch.rand(400, 40, dtype=torch.float64, generator=generator)
    layer.calibrate(x)
    assert layer(x).var().item() == pytest.approx(1, rel=0.15)
    z, tensors = layer.norm(x), layer.basis_tensors()
    value, slope = (
        torch.einsum("sik,oik->soi", f(z, tensors), layer.weight).square().mean().item()
        for f in (basis.evaluate, basis.derivative)
    )
    assert slope / value == pytest.approx(6.8, abs=1.7)


@pytest.mark.parametrize("family", ORDERED)
def test_up_to_eight_functions_start_independent(family: str) -> None:
    def weight() -> torch.Tensor:
        return fk.KANLinear(
            5, 4, ORDERED[family](8), norm=None, generator=torch.Generator().manual_seed(seed_of(3))
        ).weight

    expected = torch.empty(4, 5, 8).normal_(
        std=weight_std(ORDERED[family](8), 5, Distribution()), generator=torch.Generator().manual_seed(seed_of(3))
    )
    assert torch.equal(weight(), expected)


def test_convolutions_start_smooth_too() -> None:
    conv = fk.nn.KANConv2d(8, 16, 3, basis=fk.RSWAF(32), norm=None)
    rough = conv.weight.diff(dim=2).square().mean() / conv.weight.square().mean()
    assert rough < 0.1  # 2 for independent weights


def test_weights_are_drawn_for_the_gain_in_use() -> None:
    layer = fk.KANLinear(64, 512, norm=fk.LayerNorm(gain=2.0))
    assert layer(torch.randn(256, 64)).var().item() == pytest.approx(1, rel=0.1)
    expected = weight_std(layer.basis, 64, Distribution(width=2.0))
    assert layer.weight.std().item() == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("size", [0.0, float("inf")], ids=["zero", "infinite"])
def test_a_branch_without_a_size_starts_as_a_linear_one(size: float) -> None:
    assert base_weight_std(lambda x: torch.zeros_like(x) + size, 16) == 0.25
