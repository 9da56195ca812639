"""KANvolver: torchkan's formulas, layer by layer, and what it refuses."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import fasterkan as fk

from ..seeds import seed_of


def alive(*args: Any, **options: Any) -> fk.KANvolver:
    """A network with no tensor at a special value, in eval mode, its batch norms having seen images."""
    net = fk.KANvolver(*args, dtype=torch.float64, **options)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.1 * torch.randn_like(p))
    for _ in range(3):
        net.train()(torch.rand(8, net.in_channels, *net.image_size, dtype=torch.float64))
    return net.eval()


def plain(net: fk.KANvolver, x: Tensor, *, training: bool = False) -> Tensor:
    """The network by its definition, powers by `pow`, from its state dict."""
    state = net.state_dict()
    for conv in ("features.conv1", "features.conv2"):
        x = F.max_pool2d(F.conv2d(x, state[f"{conv}.weight"], state[f"{conv}.bias"], padding=1).relu(), 2)
    x = x.flatten(1)
    for n in range(len(net.layers_hidden)):
        part = {k.removeprefix(f"head.layers.{n}."): t for k, t in state.items()}
        powers = x.unsqueeze(-1) ** torch.arange(1, net.polynomial_order + 1, dtype=x.dtype)
        y = torch.einsum("nik,oik->no", powers, part["weight"]) + F.linear(x, part["base_weight"])
        mean, var = part["after.norm.running_mean"], part["after.norm.running_var"]
        if training:
            mean, var = y.mean(0), y.var(0, correction=0)
        y = (y - mean) / (var + 1e-5).sqrt() * part["after.norm.weight"] + part["after.norm.bias"]
        last = n == len(net.layers_hidden) - 1
        x = y if last and not net.last_activation else nn.functional.relu(y)
    return x


def test_signature_is_torchkans() -> None:
    positional = [
        (name, p.default)
        for name, p in inspect.signature(fk.KANvolver).parameters.items()
        if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    ]
    assert positional == [
        ("layers_hidden", inspect.Parameter.empty),
        ("polynomial_order", 2),
        ("base_activation", "relu"),
    ]
    net = fk.KANvolver([10])
    assert (net.in_channels, net.image_size, net.last_activation) == (1, (28, 28), False)


def test_parameter_count_is_torchkans_but_for_its_constants() -> None:
    count = 16 * 9 + 16 + 32 * 16 * 9 + 32
    for inputs, outputs in ((1568, 64), (64, 10)):
        count += inputs * outputs * (2 + 1) + 2 * outputs
    assert sum(p.numel() for p in fk.KANvolver([64, 10]).parameters()) == count


@pytest.mark.parametrize("order", [1, 2, 4])
@pytest.mark.parametrize("last", [True, False], ids=["last activation", "plain scores"])
def test_formula(order: int, last: bool) -> None:
    net = alive([6, 5, 4], order, last_activation=last, in_channels=2, image_size=(9, 12))
    x = torch.rand(7, 2, 9, 12, dtype=torch.float64)
    torch.testing.assert_close(net(x), plain(net, x), rtol=1e-10, atol=1e-10)
    assert not last or (net(x) >= 0).all()
    torch.testing.assert_close(net.train()(x), plain(net, x, training=True), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("base", ["silu", nn.SiLU, nn.SiLU()], ids=["name", "class", "module"])
def test_activations(base: Any) -> None:
    net = fk.KANvolver([5, 3], base_activation=base)
    assert net.base_activation == "silu"
    assert [layer.after.name for layer in net.kan_layers()] == ["batchnorm_silu", "batchnorm"]


@pytest.mark.parametrize("leading", [(), (1,), (4,), (2, 3), (0,), (2, 0)], ids=str)
def test_any_leading_shape(leading: tuple[int, ...]) -> None:
    net = alive([5], in_channels=2, image_size=(8, 9))
    x = torch.rand(*leading, 2, 8, 9, dtype=torch.float64)
    for form in (x, x.reshape(*leading, 144)):
        assert net(form).shape == (*leading, 5)
        torch.testing.assert_close(net(form).reshape(-1, 5), plain(net, x.reshape(-1, 2, 8, 9)))


def test_every_parameter_learns() -> None:
    net = fk.KANvolver([8, 10])
    F.cross_entropy(net(torch.rand(16, 784)), torch.arange(16) % 10).backward()
    silent = [k for k, p in net.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert silent == []


def test_it_learns() -> None:
    """With running means that follow: torchkan's walk away, and its eval mode is no better than chance."""
    net = fk.KANvolver([10], image_size=8, generator=torch.Generator().manual_seed(seed_of(0)))
    x, labels = torch.rand(32, 64), torch.arange(32) % 10
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), labels)
        loss.backward()
        optimizer.step()
    assert F.cross_entropy(net.eval()(x), labels).item() < 0.2


def test_weights_start_as_torchs_layers_do() -> None:
    net = fk.KANvolver([64, 10], generator=torch.Generator().manual_seed(seed_of(1)))
    for tensor, fan in (
        (net.features.conv1.weight, 9),
        (net.features.conv2.weight, 144),
        (net.head.layers[0].weight, 1568 * 2),
        (net.head.layers[0].base_weight, 1568),
    ):
        assert tensor.abs().max().item() == pytest.approx(fan**-0.5, rel=0.05)
    again = fk.KANvolver([64, 10], generator=torch.Generator().manual_seed(seed_of(1)))
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), again.parameters(), strict=True))


def test_saved_and_read(tmp_path: Path) -> None:
    net = alive([6, 5], 3, "silu", last_activation=True, in_channels=3, image_size=(8, 12))
    again = fk.from_pretrained(net.save_pretrained(tmp_path))
    x = torch.rand(4, 3, 8, 12, dtype=torch.float64)
    assert isinstance(again, fk.KANvolver)
    assert torch.equal(again(x), net(x))


def test_compiles_whole() -> None:
    torch._dynamo.reset()
    net, x = alive([5], image_size=8), torch.rand(3, 1, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(torch.compile(net, fullgraph=True, backend="aot_eager")(x), net(x))


@pytest.mark.parametrize(
    ("args", "options", "error", "words"),
    [
        ((10,), {}, TypeError, r"layers_hidden must be a list of widths such as \[64, 10\], got 10"),
        (([],), {}, ValueError, "layers_hidden needs at least the number of outputs"),
        (([10], 0), {}, ValueError, "polynomial_order must be at least 1, got 0"),
        (([10], 2, "swish"), {}, ValueError, "base 'swish' has no name|base must be|after must be"),
        (([10],), {"last_activation": 1}, TypeError, "last_activation must be True or False, got 1"),
        (([10],), {"in_channels": 0}, ValueError, "in_channels must be at least 1, got 0"),
        (([10],), {"image_size": 3}, ValueError, r"an image of \(3, 3\) is too small"),
    ],
    ids=lambda value: None if isinstance(value, type) else str(value),
)
def test_refused_arguments(args: tuple[Any, ...], options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        fk.KANvolver(*args, **options)


def test_refused_inputs() -> None:
    net = fk.KANvolver([10])
    with pytest.raises(ValueError, match=r"x is \(3, 28, 56\), expected \[..., 784\] or \[..., 1, 28, 28\]"):
        net(torch.rand(3, 28, 56))
    with pytest.raises(TypeError, match=r"x is torch.uint8, floating point is needed"):
        net(torch.zeros(2, 784, dtype=torch.uint8))
    for images in (0, 1):
        with pytest.raises(ValueError, match=f"x holds {images} images, batch norms need two in training"):
            net(torch.rand(images, 784))
    assert net.eval()(torch.rand(784)).shape == (10,)
