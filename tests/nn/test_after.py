"""What follows a layer: its formula, any leading shape, how it is saved, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import fasterkan as fk
from fasterkan.nn import After

X = torch.linspace(-3, 4, 35, dtype=torch.float64).reshape(7, 5).sin() * 3
GAIN, SHIFT = torch.linspace(0.5, 1.5, 5, dtype=torch.float64), torch.linspace(-0.3, 0.4, 5, dtype=torch.float64)


def ready(name: str) -> After:
    after = After(name, 5, dtype=torch.float64)
    with torch.no_grad():
        after.norm.weight.copy_(GAIN)
        after.norm.bias.copy_(SHIFT)
    return after


def standard(x: torch.Tensor, dim: int) -> torch.Tensor:
    centred = x - x.mean(dim, keepdim=True)
    return centred / (centred.square().mean(dim, keepdim=True) + 1e-5).sqrt() * GAIN + SHIFT


@pytest.mark.parametrize(
    ("name", "dim", "activation"),
    [
        ("layernorm", -1, lambda y: y),
        ("layernorm_silu", -1, lambda y: y * torch.sigmoid(y)),
        ("batchnorm", 0, lambda y: y),
        ("batchnorm_relu", 0, lambda y: y.clamp_min(0)),
    ],
)
def test_formula(name, dim, activation) -> None:
    torch.testing.assert_close(ready(name)(X), activation(standard(X, dim)), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["layernorm_silu", "batchnorm"])
@pytest.mark.parametrize("shape", [(7, 5), (7, 1, 5), (2, 7, 5), (1, 2, 7, 5)], ids=str)
def test_any_leading_shape_is_a_batch_of_rows(name: str, shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, dtype=torch.float64)
    flat, shaped = ready(name), ready(name)
    torch.testing.assert_close(shaped(x), flat(x.reshape(-1, 5)).reshape(shape), rtol=0, atol=0)
    for after in (flat, shaped):
        after.eval()
    torch.testing.assert_close(shaped(x), flat(x.reshape(-1, 5)).reshape(shape), rtol=0, atol=0)
    torch.testing.assert_close(shaped.eval()(x[0]), shaped(x)[0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["layernorm_silu", "batchnorm"])
@pytest.mark.parametrize("shape", [(0, 5), (3, 0, 5)], ids=str)
def test_empty_batches(name: str, shape: tuple[int, ...]) -> None:
    layer = fk.KANLinear(4, 5, after=name)
    assert layer(torch.rand(*shape[:-1], 4)).shape == shape
    assert bool(torch.isfinite(layer(torch.rand(3, 4))).all())


def test_batchnorm_uses_the_batch_in_training_and_running_means_in_evaluation() -> None:
    after = ready("batchnorm")
    after(X)
    mean, var = 0.1 * X.mean(0), 0.9 + 0.1 * X.var(0)
    torch.testing.assert_close(after.eval()(X[:1]), (X[:1] - mean) / (var + 1e-5).sqrt() * GAIN + SHIFT)
    with pytest.raises(ValueError, match=r'^after="batchnorm": one row has no batch statistics; train on two or more'):
        after.train()(X[:1])


@pytest.mark.parametrize("name", ["layernorm_silu", "batchnorm"])
def test_a_layer_applies_it_to_its_outputs(name: str) -> None:
    layer = fk.KANLinear(4, 5, base="silu", after=name, dtype=torch.float64)
    plain = fk.KANLinear(4, 5, base="silu", dtype=torch.float64)
    plain.load_state_dict({k: t for k, t in layer.state_dict().items() if not k.startswith("after.")})
    x = torch.randn(6, 4, dtype=torch.float64)
    y = plain(x)
    expected = F.silu(F.layer_norm(y, (5,))) if name == "layernorm_silu" else F.batch_norm(y, None, None, training=True)
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize("name", ["layernorm_silu", "batchnorm_gelu"])
def test_gradients(name: str) -> None:
    layer = fk.KANLinear(3, 4, after=name, dtype=torch.float64)
    assert torch.autograd.gradcheck(layer, torch.randn(5, 3, dtype=torch.float64, requires_grad=True))
    assert torch.autograd.gradgradcheck(layer, torch.randn(3, 3, dtype=torch.float64, requires_grad=True))


@pytest.mark.parametrize("name", ["layernorm_silu", "batchnorm"])
def test_autocast_keeps_its_dtype(name: str) -> None:
    layer = fk.KANLinear(4, 5, after=name)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(torch.rand(6, 4)).dtype == torch.bfloat16


@pytest.mark.parametrize("name", [None, "layernorm_silu", "batchnorm"])
def test_networks_are_saved_with_it(name: str | None, tmp_path: Path) -> None:
    net = fk.KAN([4, 5, 3], after=name)
    net(torch.randn(20, 4))
    again = fk.from_pretrained(net.save_pretrained(tmp_path))
    assert {layer.spec.after for layer in again.kan_layers()} == {name}
    x = torch.randn(6, 4)
    assert torch.equal(again(x), net.eval()(x))


def test_configurations_without_it_still_load() -> None:
    config = fk.KAN([4, 5, 3]).to_config()
    assert all("after" not in layer for layer in config["layers"])
    assert fk.KAN.from_config(config).after is None


def test_its_tensors_do_not_decay() -> None:
    net = fk.KAN([4, 5, 3], after="layernorm_silu", norm=None)
    groups = {group["name"]: group for group in fk.param_groups(net, weight_decay=0.1)}
    assert [p.shape for p in groups["weights"]["params"]] == [(5, 4, 8), (3, 5, 8)]
    assert groups["other"]["weight_decay"] == 0.0
    assert sum(p.numel() for p in groups["other"]["params"]) == 3 * (5 + 3)


@pytest.mark.parametrize(
    ("after", "error"),
    [
        ("silu", ValueError),
        ("layernorm_", ValueError),
        ("layer_silu", ValueError),
        ("batchnorm_swish", ValueError),
        ("", ValueError),
        (nn.SiLU(), TypeError),
        (True, TypeError),
    ],
    ids=str,
)
def test_refused(after: object, error: type[Exception]) -> None:
    with pytest.raises(error, match=r'^after must be None, or "layernorm" or "batchnorm", alone or with an activation'):
        fk.KANLinear(4, 5, after=after)
