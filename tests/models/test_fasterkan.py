"""FasterKAN: the original's signature, counts and defaults."""

from __future__ import annotations

import inspect

import pytest
import torch

import fasterkan as fk


def test_signature_is_the_originals() -> None:
    positional = [
        (name, p.default)
        for name, p in inspect.signature(fk.FasterKAN).parameters.items()
        if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    ]
    assert positional == [
        ("layers_hidden", inspect.Parameter.empty),
        ("grid_min", -1.2),
        ("grid_max", 1.2),
        ("num_grids", 8),
        ("exponent", 2),
        ("inv_denominator", 1.0),
        ("train_grid", False),
        ("train_inv_denominator", False),
        ("base_activation", None),
        ("spline_weight_init_scale", 1.0),
    ]


@pytest.mark.parametrize(
    ("num_grids", "weights", "norms", "grid_values"),
    [(4, 813_056, 2_080, 8), (8, 1_626_112, 2_080, 16), (16, 3_252_224, 2_080, 32)],
)
def test_parameter_counts_are_the_originals(num_grids: int, weights: int, norms: int, grid_values: int) -> None:
    net = fk.FasterKAN([784, 256, 10], num_grids=num_grids)
    counts = {"weight": 0, "norm": 0, "grid": 0}
    for name, t in net.state_dict().items():
        kind = "norm" if ".norm." in name else name.rsplit(".", 1)[-1]
        counts[kind] = counts.get(kind, 0) + t.numel()
    assert (counts["weight"], counts["norm"], counts["grid"]) == (weights, norms, grid_values)


def test_no_bias_gain_one_and_xavier_weights() -> None:
    net = fk.FasterKAN([64, 32, 10])
    for layer, (inputs, outputs) in zip(net.layers, [(64, 32), (32, 10)], strict=True):
        assert layer.bias is None
        assert torch.equal(layer.norm.weight, torch.ones(inputs))
        bound = (6 / (inputs * 8 + outputs)) ** 0.5
        assert layer.weight.abs().max().item() == pytest.approx(bound, rel=0.01)
        assert layer.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.03)


def test_gain_and_width_can_be_solved_for() -> None:
    net = fk.FasterKAN([64, 32], inv_denominator="auto", norm_gain="auto")
    assert net.layers[0].norm.weight[0].item() == pytest.approx(fk.nn.critical_gain(fk.RSWAF()))


def test_learned_grid_and_width_move() -> None:
    net = fk.FasterKAN([4, 3], train_grid=True, train_inv_denominator=True)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    net(torch.randn(20, 4)).square().sum().backward()
    optimizer.step()
    after = net.state_dict()
    assert all(not torch.equal(before[k], after[k]) for k in before if "bias" not in k)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"num_grids": 1}, "num_grids must be at least 2, got 1"),
        ({"grid_min": 1.2, "grid_max": -1.2}, r"grid_range must increase from left to right, got \(1.2, -1.2\)"),
        ({"exponent": -2}, "exponent must be above 0, got -2"),
        ({"spline_weight_init_scale": 0}, "spline_weight_init_scale must be above 0, got 0"),
        ({"norm_gain": -1.0}, "gain must be above 0, got -1.0"),
    ],
    ids=str,
)
def test_refused_arguments(options: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        fk.FasterKAN([4, 3], **options)
