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


def test_group_is_the_length_of_what_leaves_a_node() -> None:
    layer = fk.KANLinear(2, 2, fk.RSWAF(2), norm=None, base="silu")
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[[1.0, 3.0], [0, 0]], [[2.0, 2.0], [0, 0]]]))  # [O, I, K]
        layer.base_weight.copy_(torch.tensor([[0.0, 3.0], [0.0, 4.0]]))
    expected = math.sqrt(2) * (math.sqrt((1 + 9) / 2 + 4) + 5)
    assert fk.penalty(layer, group=0.1).item() == pytest.approx(0.1 * expected)


def test_group_makes_whole_nodes_small() -> None:
    layer = fk.KANLinear(3, 4, norm=None, dtype=torch.float64)
    gradient = torch.autograd.grad(fk.penalty(layer, group=1.0), layer.weight)[0]
    size = layer.weight.square().mean(-1).sum(0).sqrt()  # [I]
    torch.testing.assert_close(gradient, 2 * layer.weight.detach() / (8 * size.unsqueeze(-1)).detach())


def test_zero_weights_give_zero_and_finite_gradients() -> None:
    layer = layer_with([[0, 0]] * 3)
    value = fk.penalty(layer, l1=1.0, entropy=1.0, group=1.0)
    value.backward()
    assert value.item() == 0
    assert torch.isfinite(layer.weight.grad).all()


@pytest.mark.parametrize("count", [33, 65])
@pytest.mark.parametrize("ends", [(-1.0, 1.0), (0.0, 50.0)], ids=["short", "long"])
def test_smoothness_is_the_bending_energy_whatever_the_grid(count: int, ends: tuple[float, float]) -> None:
    """sin(pi t) over t in [-1, 1], L^3 integral f''^2 = 8 pi^4, for any unit of z and any K."""
    layer = fk.KANLinear(1, 2, fk.Hat(count, ends), norm=None, dtype=torch.float64)
    t = torch.linspace(-1, 1, count, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(torch.sin(math.pi * t).expand(2, 1, -1))
    assert fk.penalty(layer, smoothness=0.5).item() == pytest.approx(2 * 0.5 * 8 * math.pi**4, rel=1e-2)


def test_smoothness_of_unequal_distances() -> None:
    points = torch.cumsum(torch.rand(60, dtype=torch.float64) + 0.2, 0)
    points = 2 * (points - points[0]) / (points[-1] - points[0]) - 1
    layer = fk.KANLinear(1, 1, fk.Hat(grid=tuple(points.tolist())), norm=None, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(torch.sin(math.pi * points))
    assert fk.penalty(layer, smoothness=1.0).item() == pytest.approx(8 * math.pi**4, rel=2e-2)
    with torch.no_grad():
        layer.weight.copy_(3 * points - 1)
    assert fk.penalty(layer, smoothness=1.0).item() == pytest.approx(0, abs=1e-18)


def test_smoothness_by_hand_and_its_gradient() -> None:
    layer = fk.KANLinear(1, 1, fk.RSWAF(4), norm=None)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[[0.0, 1.0, 0.0, 2.0]]]))
    value = fk.penalty(layer, smoothness=0.1)
    assert value.item() == pytest.approx(0.1 * 27 * (4 + 9), rel=1e-6)
    value.backward()
    assert layer.weight.grad.flatten().tolist() == pytest.approx([-10.8, 37.8, -43.2, 16.2], rel=1e-5)
    assert fk.penalty(layer_with([[1, -3], [0, 0], [-2, -2]]), smoothness=1.0).item() == 0  # two functions: a line


def test_smoothness_needs_an_order() -> None:
    with pytest.raises(ValueError, match="functions in an order along z, Chebyshev has none; use a basis of local"):
        fk.penalty(fk.KANLinear(3, 2, fk.Chebyshev()), smoothness=1.0)


def test_bad_calls() -> None:
    with pytest.raises(ValueError, match="penalty: l1 must not be negative, got -1"):
        fk.penalty(fk.KANLinear(3, 2), l1=-1)
    with pytest.raises(ValueError, match="penalty: Linear has no KANLinear layer"):
        fk.penalty(torch.nn.Linear(2, 2), l1=1)
