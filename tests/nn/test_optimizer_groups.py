"""Which parameter decays, with which learning rate."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import fasterkan as fk


def grouped(model: nn.Module, **options) -> dict[str, tuple[set[str], dict]]:
    names = {id(p): n for n, p in model.named_parameters()}
    return {
        g["name"]: ({names[id(p)] for p in g["params"]}, {k: v for k, v in g.items() if k not in ("params", "name")})
        for g in fk.param_groups(model, **options)
    }


def test_weights_decay_and_nothing_else_does() -> None:
    layer = fk.KANLinear(3, 2, fk.RSWAF(train_grid=True, train_inv_denominator=True, per_feature=True), base="silu")
    assert grouped(layer, weight_decay=0.1, lr=1e-3, basis_lr=1e-4) == {
        "weights": ({"weight", "base_weight"}, {"weight_decay": 0.1, "lr": 1e-3}),
        "basis": ({"grid", "inv_denominator"}, {"weight_decay": 0.0, "lr": 1e-4}),
        "other": ({"bias", "norm.weight", "norm.bias"}, {"weight_decay": 0.0, "lr": 1e-3}),
    }


def test_plain_modules_are_grouped_too_and_frozen_ones_left_out() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), fk.KANLinear(8, 2))
    model[0].bias.requires_grad_(False)
    groups = grouped(model)
    assert groups["weights"][0] == {"0.weight", "3.weight"}
    assert groups["other"][0] == {"1.weight", "1.bias", "3.bias", "3.norm.weight", "3.norm.bias"}
    assert "lr" not in groups["weights"][1]


def test_shared_parameters_come_once() -> None:
    layer = fk.KANLinear(3, 3)
    groups = fk.param_groups(nn.Sequential(layer, layer))
    assert sum(len(g["params"]) for g in groups) == len(list(layer.parameters()))


def test_optimizer_accepts_them_and_decays_only_weights() -> None:
    layer = fk.KANLinear(3, 2)
    optimizer = torch.optim.SGD(fk.param_groups(layer, weight_decay=0.5), lr=0.1)
    before = {n: p.detach().clone() for n, p in layer.named_parameters()}
    for p in layer.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    torch.testing.assert_close(layer.weight, before["weight"] * (1 - 0.1 * 0.5))
    assert torch.equal(layer.norm.weight, before["norm.weight"])


@pytest.mark.parametrize("bad", [{"weight_decay": -1}, {"lr": float("nan")}, {"basis_lr": -0.1}], ids=str)
def test_bad_numbers(bad: dict) -> None:
    with pytest.raises(ValueError, match=f"param_groups: {next(iter(bad))} must"):
        fk.param_groups(fk.KANLinear(3, 2), **bad)


def test_norms_never_decay_whatever_their_shape() -> None:
    model = nn.Sequential(nn.LayerNorm((3, 4)), nn.Flatten(), fk.KANLinear(12, 2))
    assert "0.weight" in grouped(model)["other"][0]


def test_fine_grids_learn_slower() -> None:
    model = nn.Sequential(fk.KANLinear(3, 3, fk.RSWAF(32)), fk.KANLinear(3, 3), fk.KANLinear(3, 2, fk.Chebyshev(40)))
    groups = grouped(model, lr=1e-2, weight_decay=0.1)
    assert groups["weights"] == ({"1.weight", "2.weight"}, {"weight_decay": 0.1, "lr": 1e-2})
    names, options = groups["weights-K32"]
    assert names == {"0.weight"} and options["weight_decay"] == 0.1
    assert options["lr"] == pytest.approx(1e-3)  # a tenth for four times the grid
    assert set(grouped(model)) == {"weights", "other"}  # without lr there is nothing to scale
