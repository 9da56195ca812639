"""The penalties against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

import fasterkan as fk


def layer_with(rows: list[list[float]]) -> fk.KANLinear:
    layer = fk.KANLinear(3, 1, fk.RSWAF(2), norm=None)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([rows]))
    return layer


def test_l1_is_the_sum_of_mean_sizes() -> None:
    layer = layer_with([[1, -3], [0, 0], [-2, -2]])
    assert fk.penalty(layer, l1=0.5).item() == pytest.approx(0.5 * (2 + 0 + 2))


def test_entropy_of_two_equal_edges_is_log_two() -> None:
    layer = layer_with([[1, -3], [0, 0], [-2, -2]])
    assert fk.penalty(layer, entropy=3.0).item() == pytest.approx(3 * math.log(2), rel=1e-6)
    assert fk.penalty(layer_with([[1, 1], [0, 0], [0, 0]]), entropy=1.0).item() == pytest.approx(0, abs=1e-6)


def test_layers_add_up_and_gradients_flow() -> None:
    net = fk.KAN([3, 4, 2])
    parts = [fk.penalty(layer, l1=0.1, entropy=0.2) for layer in net.layers]
    total = fk.penalty(net, l1=0.1, entropy=0.2)
    torch.testing.assert_close(total, parts[0] + parts[1])
    total.backward()
    assert all(layer.weight.grad.abs().sum() > 0 for layer in net.layers)


def test_gradients_against_differences() -> None:
    layer = fk.KANLinear(3, 2, dtype=torch.float64)

    def penalty_of(weight: torch.Tensor) -> torch.Tensor:
        size = weight.abs().mean(-1)
        share = size / size.sum()
        return 0.3 * size.sum() - 0.7 * (share * share.log()).sum()

    weight = layer.weight.detach().clone().requires_grad_()
    expected = torch.autograd.grad(penalty_of(weight), weight)[0]
    got = torch.autograd.grad(fk.penalty(layer, l1=0.3, entropy=0.7), layer.weight)[0]
    torch.testing.assert_close(got, expected)


def test_zero_weights_give_zero_and_finite_gradients() -> None:
    layer = layer_with([[0, 0]] * 3)
    value = fk.penalty(layer, l1=1.0, entropy=1.0)
    value.backward()
    assert value.item() == 0
    assert torch.isfinite(layer.weight.grad).all()


def test_bad_calls() -> None:
    with pytest.raises(ValueError, match="penalty: l1 must not be negative, got -1"):
        fk.penalty(fk.KANLinear(3, 2), l1=-1)
    with pytest.raises(ValueError, match="penalty: Linear has no KANLinear layer"):
        fk.penalty(torch.nn.Linear(2, 2), l1=1)
