"""KAN: widths, norms of its layers, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import fasterkan as fk


def test_layers_follow_one_another() -> None:
    net, x = fk.KAN([6, 5, 4, 3]), torch.randn(7, 6)
    y = x
    for layer in net.layers:
        y = layer(y)
    assert torch.equal(net(x), y)
    assert [(layer.in_features, layer.out_features) for layer in net.layers] == [(6, 5), (5, 4), (4, 3)]


@pytest.mark.parametrize("norm", ["layer", "rms", fk.LayerNorm(gain=2.0)], ids=str)
def test_first_affine_concerns_the_first_layer_only(norm: object) -> None:
    net = fk.KAN([6, 5, 4], norm=norm, first_affine=False)
    assert not list(net.layers[0].norm.parameters())
    assert list(net.layers[1].norm.parameters())


def test_a_network_without_first_affine_needs_no_gradient_of_its_input(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    vjp = fk.RSWAF.vjp
    monkeypatch.setattr(fk.RSWAF, "vjp", lambda self, *args: seen.append(sorted(args[-1])) or vjp(self, *args))
    fk.KAN([6, 5, 4], first_affine=False)(torch.randn(3, 6)).sum().backward()
    assert seen == [["z"]]  # the second layer's alone


def test_hidden_width_of_one_is_refused() -> None:
    with pytest.raises(ValueError, match="LayerNorm of one feature"):
        fk.KAN([6, 1, 3])
    assert fk.KAN([6, 1, 3], norm="feature").layers[1].in_features == 1


def test_one_module_serves_one_layer() -> None:
    assert fk.KAN([6, 3], norm=nn.Identity()).layers[0].norm is not None
    with pytest.raises(ValueError, match=r"norm is one module, there are 2 layers; give a description"):
        fk.KAN([6, 5, 3], norm=nn.Identity())


@pytest.mark.parametrize(
    ("layers", "error", "words"),
    [
        ("784", TypeError, r"KAN: layers_hidden must be a list of widths such as \[784, 256, 10\], got '784'"),
        (784, TypeError, "must be a list of widths"),
        ([784], ValueError, r"needs inputs and outputs, such as \[784, 256, 10\]; got \[784\]"),
        ([], ValueError, "needs inputs and outputs"),
        ([784, 0, 10], ValueError, r"layers_hidden\[1\] must be at least 1, got 0"),
        ([784, "256", 10], TypeError, r"layers_hidden\[1\] must be a whole number, got '256'"),
        ([784, 2.5], TypeError, r"layers_hidden\[1\] must be a whole number, got 2.5"),
    ],
    ids=str,
)
def test_refused_widths(layers: object, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        fk.KAN(layers)


def test_learns_a_function_of_two_inputs() -> None:
    """exp(sin(pi x) + y^2) with Adam: a smoke test with a number, far from what a second-order fit reaches."""
    net = fk.KAN([2, 5, 1], norm="feature", base="silu")
    x = torch.rand(500, 2) * 2 - 1
    y = torch.exp(torch.sin(torch.pi * x[:, :1]) + x[:, 1:] ** 2)
    net.calibrate(x)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    for _ in range(300):
        optimizer.zero_grad()
        loss = (net(x) - y).square().mean()
        loss.backward()
        optimizer.step()
    assert loss.sqrt().item() < 0.15


def test_edges_of_a_network_to_read_are_functions_of_one_variable() -> None:
    net = fk.KAN([3, 1], norm="feature", base="silu", dtype=torch.float64)
    net.calibrate(torch.randn(50, 3, dtype=torch.float64))
    x = torch.randn(4, 3, dtype=torch.float64)
    hessian = torch.func.vmap(torch.func.hessian(lambda row: net(row).sum()))(x)
    off_diagonal = hessian - torch.diag_embed(torch.diagonal(hessian, dim1=1, dim2=2))
    assert off_diagonal.abs().max() == 0


def test_a_norm_for_each_layer(tmp_path: Path) -> None:
    norms = [None, fk.LayerNorm(gain=2.0), "rms"]
    net, x = fk.KAN([6, 5, 4, 3], norm=norms), torch.rand(7, 6)
    assert [getattr(layer.norm, "description", None) for layer in net.layers] == [None, norms[1], fk.RMSNorm()]
    again = fk.from_pretrained(net.save_pretrained(tmp_path))
    assert again.norm == net.norm == [None, norms[1], fk.RMSNorm()]
    assert torch.equal(again(x), net(x))
    assert not list(fk.KAN([6, 5, 4], norm=["layer", None], first_affine=False).layers[0].norm.parameters())


def test_lists_of_norms_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"^KAN: norm is a list of 1, there are 2 layers; give one norm"):
        fk.KAN([6, 5, 3], norm=["layer"])
    with pytest.raises(ValueError, match=r'^norm must be "layer", '):
        fk.KAN([6, 5, 3], norm=["layer", "batch"])
    module = nn.Identity()
    with pytest.raises(ValueError, match="norm is one module, there are 2 layers"):
        fk.KAN([6, 5, 3], norm=[module, module])
    assert len({id(layer.norm) for layer in fk.KAN([6, 5, 3], norm=[nn.Identity(), nn.Identity()]).layers}) == 2


def test_folding_leaves_the_other_norms_of_a_list() -> None:
    net, x = fk.KAN([3, 4, 2], norm=["feature", "layer"]), torch.rand(9, 3)
    net.calibrate(x)
    y = net.eval()(x)
    net.fold()
    assert net.norm == [None, fk.LayerNorm()]
    torch.testing.assert_close(net(x), y)
