"""Initialisation: sizes of activations and gradients through depth, and where the gain comes from."""

from __future__ import annotations

import math

import pytest
import torch

import fasterkan as fk
from fasterkan.nn.init import Distribution, critical_gain, second_moments, weight_std


@pytest.mark.parametrize("norm", ["layer", "rms"])
@pytest.mark.parametrize("depth", [2, 5, 10, 20])
@pytest.mark.parametrize("seed", [0, 1])
def test_activations_and_gradients_keep_their_size(norm: str, depth: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
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
    expected = weight_std(layer.basis, 64, layer.norm.initial)
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
        return fk.KANLinear(5, 4, base="silu", generator=torch.Generator().manual_seed(seed)).weight

    assert torch.equal(make(3), make(3))
    assert not torch.equal(make(3), make(4))


def test_default_device_meta_does_not_disturb_the_quadrature() -> None:
    critical_gain.cache_clear()
    second_moments.cache_clear()
    with torch.device("meta"):
        net = fk.KAN([4, 3, 2])
    assert all(p.is_meta for p in net.parameters())
    assert math.isfinite(critical_gain(fk.RSWAF()))


@pytest.mark.parametrize("num_grids", [16, 32, 128])
def test_fine_grids_are_in_use(num_grids: int) -> None:
    """z = +-3 gains spans the grid, although gradients would keep their size at a smaller gain."""
    assert critical_gain(fk.RSWAF(num_grids)) == pytest.approx(2.4 / 6)


def test_weights_are_drawn_for_the_gain_in_use() -> None:
    layer = fk.KANLinear(64, 512, norm=fk.LayerNorm(gain=2.0))
    assert layer(torch.randn(256, 64)).var().item() == pytest.approx(1, rel=0.1)
    expected = weight_std(layer.basis, 64, Distribution(width=2.0))
    assert layer.weight.std().item() == pytest.approx(expected, rel=0.02)
