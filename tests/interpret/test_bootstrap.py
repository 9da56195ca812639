"""Bootstrap bands against the scatter that theory gives, and beside the Laplace bands."""

from __future__ import annotations

import pytest
import torch

import fasterkan as fk
from fasterkan.interpret import bands, bootstrap_bands

from ..seeds import seed_of


def line(noise, rows=200):
    """A network of one straight edge, fitted to a noisy line."""
    generator = torch.Generator().manual_seed(seed_of(0))
    x = 2 * torch.rand(rows, 1, generator=generator, dtype=torch.float64) - 1
    y = 3 * x[:, 0] + noise * torch.randn(rows, generator=generator, dtype=torch.float64)
    net = fk.KAN([1, 1], fk.Legendre(degree=1, domain=None), norm=fk.FeatureNorm(mode="range"), dtype=torch.float64)
    fk.fit(net, x, y, starts=1, grids=None, held_out=0.0, smoothness=1e-12, progress=False)
    return net, x, y


def test_the_scatter_of_a_line():
    net, x, y = line(0.5)
    (band,) = bootstrap_bands(net, x, y, draws=60, smoothness=1e-12, points=3)
    deviation = 0.5 / (len(x) ** 0.5 * float(x.std()))  # of the slope of a straight line by least squares
    middle = x.mean()
    wanted = deviation * (torch.stack([x.min(), (x.min() + x.max()) / 2, x.max()]) - middle).abs()
    torch.testing.assert_close(band[[0, 2], 0, 0], wanted[[0, 2]], rtol=0.3, atol=0)
    (laplace,) = bands(net, x, y, points=3)
    torch.testing.assert_close(band[[0, 2]], laplace[[0, 2]], rtol=0.3, atol=0)


def test_no_noise_no_band_and_the_network_stays():
    net, x, y = line(0.0)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    (band,) = bootstrap_bands(net, x, y, draws=3, smoothness=1e-12)
    assert float(band.max()) < 1e-5
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


def test_the_same_seed_gives_the_same_bands():
    net, x, y = line(0.3, rows=40)
    first, again, other = (bootstrap_bands(net, x, y, draws=3, seed=s)[0] for s in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_what_cannot_be_used_is_told():
    net, x, y = line(0.3, rows=40)
    with pytest.raises(ValueError, match=r"bootstrap_bands: draws must be .*at least 2"):
        bootstrap_bands(net, x, y, draws=1)
    with pytest.raises(ValueError, match="bootstrap_bands: y is"):
        bootstrap_bands(net, x, y[:5])
