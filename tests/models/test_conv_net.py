"""ResKANNet: its blocks by their definition, its shapes, and that it learns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import fasterkan as fk

from ..seeds import seed_of


def small(**options: Any) -> fk.ResKANNet:
    settings = {"channels": (4, 6), "image_size": (9, 8), "in_channels": 2, "dtype": torch.float64, **options}
    return fk.ResKANNet([5], **settings)


def alive(**options: Any) -> fk.ResKANNet:
    """A network in eval mode whose norms are not as new."""
    net = small(**options)
    for _ in range(3):
        net.train()(torch.rand(8, 2, 9, 8, dtype=net.norm.weight.dtype))
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.1 * torch.randn_like(p))
    return net.eval()


def normed(norm: torch.nn.Module, x: Tensor) -> Tensor:
    """A batch norm in eval mode, from its tensors."""
    mean, var, gain, bias = (
        t.view(1, -1, *[1] * (x.dim() - 2)) for t in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    return (x - mean) / (var + norm.eps).sqrt() * gain + bias


def plain(net: fk.ResKANNet, x: Tensor) -> Tensor:
    """The network written out with its layers' own forwards."""
    x = normed(net.stem[1], F.conv2d(x, net.stem[0].weight, padding=1))
    for block in net.stages:
        y = normed(block.norm2, block.conv2(normed(block.norm1, block.conv1(x))))
        if block.stride == 2:
            height, width = ((size + 1) // 2 for size in x.shape[2:])
            parts = [
                [x[:, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].mean((2, 3)) for j in range(width)]
                for i in range(height)
            ]
            x = torch.stack([torch.stack(row, -1) for row in parts], -2)
        if block.shortcut is not None:
            x = torch.einsum("nchw,oc->nohw", x, block.shortcut.weight[:, :, 0, 0])
        x = x + y
    return net.head.layers[0](normed(net.norm, x.flatten(2).mean(-1)))


@pytest.mark.parametrize(
    "options",
    [{}, {"blocks": 2}, {"base": "silu"}, {"channels": (3, 3)}, {"basis": fk.RSWAF(num_grids=2, train_grid=True)}],
    ids=["default", "two blocks", "base", "same channels", "basis"],
)
def test_formula(options: dict[str, Any]) -> None:
    net = alive(**options)
    x = torch.rand(3, 2, 9, 8, dtype=torch.float64)
    torch.testing.assert_close(net(x), plain(net, x), rtol=1e-10, atol=1e-10)
    assert len(net.stages) == len(net.channels) * net.blocks


@pytest.mark.parametrize("leading", [(), (1,), (2, 3), (0,)], ids=str)
def test_any_leading_shape(leading: tuple[int, ...]) -> None:
    net = alive()
    x = torch.rand(*leading, 2, 9, 8, dtype=torch.float64)
    for form in (x, x.reshape(*leading, 144)):
        assert net(form).shape == (*leading, 5)
        torch.testing.assert_close(net(form).reshape(-1, 5), net(x.reshape(-1, 2, 9, 8)))


def test_training_uses_the_batch() -> None:
    net, x = alive(), torch.rand(4, 2, 9, 8, dtype=torch.float64)
    alone, together = net(x[:2]), net(x)[:2]
    torch.testing.assert_close(alone, together, rtol=1e-10, atol=1e-10)
    assert (net.train()(x[:2]) - net(x)[:2]).abs().max() > 1e-3


@pytest.mark.parametrize("size", [(1, 28), (3, 32)], ids=["28", "colour 32"])
def test_outputs_start_at_their_size(size: tuple[int, int]) -> None:
    channels, side = size
    y = fk.ResKANNet([100], in_channels=channels, image_size=side)(torch.rand(8, channels, side, side))
    assert 0.5 < y.std().item() < 2


def test_every_parameter_learns_and_the_loss_falls() -> None:
    """Rows, columns, a chessboard or an even grey."""
    net = fk.ResKANNet([4], (4, 6), image_size=8, generator=torch.Generator().manual_seed(seed_of(0)))
    labels, (i, j) = torch.arange(24) % 4, torch.meshgrid(torch.arange(8), torch.arange(8), indexing="ij")
    textures = torch.stack([i % 2, j % 2, (i + j) % 2, torch.full_like(i, 0.5, dtype=torch.float)])
    x = textures[labels].unsqueeze(1) + 0.3 * torch.rand(24, 1, 8, 8)
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    for _ in range(80):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), labels)
        loss.backward()
        optimizer.step()
    assert F.cross_entropy(net.eval()(x), labels).item() < 0.3
    assert [k for k, p in net.named_parameters() if not p.grad.abs().max() > 0] == []


def test_a_network_made_in_inference_mode_learns() -> None:
    with torch.inference_mode():
        net = small()
    assert not any(t.is_inference() for t in (*net.parameters(), *net.buffers()))
    net(torch.rand(4, 2, 9, 8, dtype=torch.float64)).square().sum().backward()
    assert all(p.grad is not None for p in net.parameters())


def test_weights_follow_the_generator() -> None:
    twins = [small(base="silu", generator=torch.Generator().manual_seed(seed_of(3))) for _ in range(2)]
    assert all(torch.equal(a, b) for a, b in zip(*(t.parameters() for t in twins), strict=True))


def test_saved_and_read(tmp_path: Path) -> None:
    net = alive(basis=fk.RSWAF(num_grids=3), base="silu", blocks=2)
    again = fk.from_pretrained(net.save_pretrained(tmp_path))
    x = torch.rand(3, 2, 9, 8, dtype=torch.float64)
    assert isinstance(again, fk.ResKANNet)
    assert torch.equal(again(x), net(x))


def test_compiles_whole_and_runs_under_autocast() -> None:
    torch._dynamo.reset()
    net, x = alive(dtype=torch.float32), torch.rand(3, 2, 9, 8)
    expected = net(x)
    compiled = torch.compile(net, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), expected, rtol=1e-4, atol=1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        y = net(x)
    assert y.dtype == torch.bfloat16
    assert (y.float() - expected).norm() < 0.1 * expected.norm()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"channels": 16}, TypeError, "channels must be a list of at least one number"),
        ({"channels": ()}, TypeError, "channels must be a list of at least one number"),
        ({"channels": (16, 2)}, ValueError, r"channels\[1\] must be at least 3, got 2"),
        ({"blocks": 0}, ValueError, "blocks must be at least 1, got 0"),
        ({"in_channels": 0}, ValueError, "in_channels must be at least 1, got 0"),
        ({"image_size": (8, 8, 8)}, ValueError, "image_size must be one number or"),
        ({"basis": "rswaf"}, TypeError, "basis must be a Basis"),
    ],
    ids=lambda value: None if isinstance(value, type) else str(value),
)
def test_refused_arguments(options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        small(**options)


def test_refused_inputs() -> None:
    with pytest.raises(ValueError, match=r"ResKANNet: x is \(3, 9, 8\), expected \[..., 144\] or \[..., 2, 9, 8\]"):
        small()(torch.rand(3, 9, 8, dtype=torch.float64))
    for images in (0, 1):
        with pytest.raises(ValueError, match=f"x holds {images} images, batch norms need two in training"):
            small()(torch.rand(images, 144, dtype=torch.float64))
