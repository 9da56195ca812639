"""Bands of uncertainty: where the data leaves a weight open, its prior is what bounds it."""

from __future__ import annotations

import pytest
import torch

import fasterkan as fk
from fasterkan.interpret import bands
from fasterkan.nn.edge_functions import panel, panel_weights, points_of_x

from ..seeds import seed_of


def test_bands_are_those_of_the_linear_model_with_its_prior():
    """One layer is linear in its weights: Cov = (J^T J / s^2 + 1 / t^2)^-1, by its definition."""
    generator = torch.Generator().manual_seed(seed_of(1))
    net = fk.KAN([2, 1], fk.Hat(6), norm=None, dtype=torch.float64, generator=generator)
    x = torch.rand(7, 2, dtype=torch.float64, generator=generator) * 2 - 1  # 12 weights
    y = net(x).detach() + 0.1 * torch.randn(7, 1, dtype=torch.float64, generator=generator)
    layer, points = net.layers[0], 9
    (found,) = bands(net, x, y, points=points)
    center = panel(layer, x).mean(0)
    jacobian = (panel(layer, x) - center).flatten(1)  # [N, I K]
    rank = int(torch.linalg.matrix_rank(jacobian.t() @ jacobian, hermitian=True))
    noise = (net(x) - y).square().sum() / max(1, len(x) - rank)
    prior = panel_weights(layer).square().mean()
    covariance = torch.linalg.inv(jacobian.t() @ jacobian / noise + torch.eye(12).double() / prior)
    at = panel(layer, points_of_x(layer, x, points)) - center  # [S, I, K]
    for i in range(2):
        part = covariance[6 * i : 6 * i + 6, 6 * i : 6 * i + 6]
        expected = torch.einsum("sk,kl,sl->s", at[:, i], part, at[:, i]).sqrt().detach()
        torch.testing.assert_close(found[:, 0, i], expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("base_input", ["x", "scaled", "z"])
def test_bands_do_not_see_the_size_of_a_column(base_input: str) -> None:
    generator = torch.Generator().manual_seed(seed_of(2))
    x = torch.rand(60, 2, dtype=torch.float64, generator=generator) * 2 - 1
    y = x[:, :1].square() + x[:, 1:] + 0.1 * torch.randn(60, 1, dtype=torch.float64, generator=generator)
    found = []
    for scale in (1.0, 2.0**60, 2.0**-60):
        options = {"base": "identity", "base_input": base_input, "dtype": torch.float64, "generator": generator}
        net = fk.KAN([2, 1], fk.Hat(5), norm="feature", **options)
        sizes = torch.tensor([1.0, scale], dtype=torch.float64)
        net.calibrate(x * sizes)
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.fill_(0.5)
            if base_input == "x":
                net.layers[0].base_weight /= sizes
        found.append(bands(net, x * sizes, y)[0])
    torch.testing.assert_close(found[1], found[0], rtol=1e-6, atol=0)
    torch.testing.assert_close(found[2], found[0], rtol=1e-6, atol=0)
