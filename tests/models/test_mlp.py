"""MLP: its formula, its size beside a KAN's, and how it is saved."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import fasterkan as fk
from fasterkan.models.mlp import like_widths

from ..seeds import seed_of


def size(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize(("name", "function"), [("silu", F.silu), ("relu", F.relu), (torch.sin, torch.sin)])
def test_formula(name, function) -> None:
    net = fk.MLP([4, 6, 5, 3], name, dtype=torch.float64)
    x = y = torch.randn(2, 7, 4, dtype=torch.float64)
    for n, layer in enumerate(net.layers):
        y = y @ layer.weight.T + layer.bias
        y = function(y) if n < 2 else y
    torch.testing.assert_close(net(x), y)


def test_without_activation_and_bias_it_is_a_matrix() -> None:
    net, x = fk.MLP([4, 6, 3], None, bias=False), torch.randn(5, 4)
    assert size(net) == 4 * 6 + 6 * 3
    torch.testing.assert_close(net(x), x @ net.layers[0].weight.T @ net.layers[1].weight.T)


def test_weights_are_drawn_by_the_generator_and_as_wide_as_linears() -> None:
    first, second = (fk.MLP([400, 300], generator=torch.Generator().manual_seed(seed_of(3))) for _ in range(2))
    assert torch.equal(first.layers[0].weight, second.layers[0].weight)
    assert first.layers[0].weight.abs().max().item() == pytest.approx(1 / 20, rel=1e-3)
    assert first.layers[0].weight.std().item() == pytest.approx(1 / 20 / 3**0.5, rel=0.02)


def test_an_activation_with_parameters_is_each_layers_own() -> None:
    net = fk.MLP([4, 5, 6, 3], nn.PReLU())
    assert size(net) == 25 + 36 + 21 + 2
    net(torch.randn(8, 4)).sum().backward()
    assert len({float(p.grad) for p in net.activation_modules.parameters()}) == 2


@pytest.mark.parametrize("activation", ["gelu", F.relu, nn.Tanh(), None], ids=["name", "function", "module", "none"])
def test_saved(activation, tmp_path: Path) -> None:
    net, x = fk.MLP([4, 6, 3], activation, bias=False), torch.randn(5, 4)
    again = fk.MLP.from_pretrained(net.save_pretrained(tmp_path))
    assert torch.equal(again(x), net(x))
    assert (again.layers_hidden, again.bias) == ((4, 6, 3), False)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    "model",
    [
        lambda: fk.KAN([784, 256, 10]),
        lambda: fk.FasterKAN([784, 256, 10], num_grids=16),
        lambda: fk.EfficientKAN([30, 17, 4]),
        lambda: fk.WavKAN([9, 5, 2]),
        lambda: fk.KAN([784, 10]),
    ],
    ids=["kan", "fasterkan", "efficient", "wavkan", "no-hidden-layer"],
)
def test_equal_size_with_one_hidden_layer(model, bias: bool) -> None:
    kan = model()
    mlp = fk.MLP.like(kan, bias=bias)
    inputs, hidden, outputs = mlp.layers_hidden
    assert (inputs, outputs) == (kan.layers_hidden[0], kan.layers_hidden[-1])
    assert abs(size(mlp) - size(kan)) <= (inputs + outputs + bias) / 2
    nearest = min(range(1, 10 * hidden), key=lambda h: abs(h * (inputs + outputs + bias) + bias * outputs - size(kan)))
    assert hidden == nearest


def test_the_mlp_beside_fasterkan() -> None:
    assert fk.MLP.like(fk.FasterKAN([784, 256, 10], num_grids=16)).layers_hidden == (784, 4093, 10)
    assert fk.MLP.like([784, 256, 10]).layers_hidden == fk.MLP.like(fk.KAN([784, 256, 10])).layers_hidden


@pytest.mark.parametrize("layers", [[64, 64, 64, 8], [100, 40, 20, 10, 3], [7, 1, 9, 2]], ids=str)
def test_several_hidden_layers_keep_their_proportions(layers: list[int]) -> None:
    kan = fk.KAN(layers, norm="feature")
    mlp = fk.MLP.like(kan)
    assert len(mlp.layers_hidden) == len(layers)
    factors = [m / k for m, k in zip(mlp.layers_hidden[1:-1], layers[1:-1], strict=True)]
    assert max(factors) - min(factors) < 1 / min(layers[1:-1])
    more = sum(mlp.layers_hidden[n - 1] + mlp.layers_hidden[n + 1] + 2 for n in range(1, len(layers) - 1))
    assert abs(size(mlp) - size(kan)) <= more / 2


def test_too_few_parameters_give_the_smallest() -> None:
    assert like_widths([10, 5, 5, 2], 3) == [10, 1, 1, 2]


def test_refused() -> None:
    with pytest.raises(TypeError, match=r"^MLP.like: a KAN or a list of widths was expected, got Linear"):
        fk.MLP.like(nn.Linear(3, 2))
    with pytest.raises(ValueError, match=r"^MLP: layers_hidden needs inputs and outputs"):
        fk.MLP([3])
    with pytest.raises(ValueError, match=r"must be None, a callable or one of .* got 'swish'"):
        fk.MLP([3, 2, 2], "swish")
    with pytest.raises(ValueError, match="has no name: only None and"):
        fk.MLP([3, 2, 2], torch.sin).save_pretrained("never")
