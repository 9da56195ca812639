"""The choice of a path: a table, what it looks at, and no silent fallback."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.autograd.forward_ad as forward_ad
from torch import nn

import fasterkan as fk
from fasterkan.ops import (
    CONV_PATHS,
    LINEAR_PATHS,
    ConvCall,
    ConvGeometry,
    LinearCall,
    Path,
    Situation,
    choose,
    kan_linear,
)

PLAIN = Situation()
COMPILING = Situation(compiling=True)
TRANSFORMED = Situation(transformed=True)
DUAL = Situation(dual=True)


def linear(
    situation: Situation = PLAIN, *, per_edge: bool = False, device: str = "cpu", norm: nn.Module | None = None
) -> LinearCall:
    """A call of a layer 4 -> 2 on three rows; on devices that are not here it only says that it lies there."""
    basis = fk.Wavelet() if per_edge else fk.RSWAF(3)
    x: Any = (
        torch.randn(3, 4) if device == "cpu" else SimpleNamespace(device=torch.device(device), is_cuda=device == "cuda")
    )
    return LinearCall(x, norm, torch.randn(2, 4, basis.num_basis), None, basis, basis.init(4, 2), situation)


def conv(situation: Situation = PLAIN) -> ConvCall:
    """A call of a convolution of 2 channels, 3 x 3."""
    basis, geometry = fk.RSWAF(3), ConvGeometry((1, 1), (1, 1))
    weight = torch.randn(4, 2, 3, 3, 3)
    return ConvCall(torch.randn(1, 5, 5, 2), None, None, weight, None, basis, basis.init(2, 4), geometry, situation)


EAGER, TILES = "eager: the basis is rebuilt, not kept", "eager: the basis is rebuilt, tile by tile"
FORMULA = {COMPILING: "traced by torch.compile", TRANSFORMED: "torch.func transform", DUAL: "forward-mode"}


@pytest.mark.parametrize(
    ("requested", "call", "path", "reason"),
    [
        ("auto", linear(), "recompute", EAGER),
        *(("auto", linear(seen), "reference", why) for seen, why in FORMULA.items()),
        ("reference", linear(), "reference", "requested"),
        ("reference", linear(COMPILING), "reference", "requested"),
        ("recompute", linear(), "recompute", "requested"),
        ("auto", linear(per_edge=True), "edges", TILES),
        *(("auto", linear(seen, per_edge=True), "reference", why) for seen, why in FORMULA.items()),
        ("reference", linear(per_edge=True), "reference", "requested"),
        ("edges", linear(per_edge=True), "edges", "requested"),
        ("auto", linear(device="cuda"), "recompute", EAGER),
        ("auto", linear(device="cuda", per_edge=True), "edges", TILES),
        ("auto", linear(device="mps"), "reference", "on mps the formula is used"),
        ("auto", linear(device="mps", per_edge=True), "reference", "on mps the formula is used"),
    ],
)
def test_choice_of_a_layer(requested: str, call: LinearCall, path: str, reason: str) -> None:
    chosen, why = choose(LINEAR_PATHS, requested, call)
    assert chosen.name == path
    assert reason in why


@pytest.mark.parametrize(
    ("requested", "call", "path", "reason"),
    [
        ("auto", conv(), "recompute", EAGER),
        *(("auto", conv(seen), "reference", why) for seen, why in FORMULA.items()),
        ("reference", conv(), "reference", "requested"),
        ("recompute", conv(), "recompute", "requested"),
    ],
)
def test_choice_of_a_convolution(requested: str, call: ConvCall, path: str, reason: str) -> None:
    chosen, why = choose(CONV_PATHS, requested, call)
    assert chosen.name == path
    assert reason in why


@pytest.mark.parametrize("situation", [COMPILING, TRANSFORMED, DUAL], ids=str)
@pytest.mark.parametrize("path", ["recompute", "edges"])
def test_explicit_and_impossible_raises(path: str, situation: Situation) -> None:
    words = rf'path="{path}" is impossible here: .*{FORMULA[situation]}.*; use path="auto" or "reference"'
    with pytest.raises(RuntimeError, match=words):
        choose(LINEAR_PATHS, path, linear(situation, per_edge=path == "edges"))
    with pytest.raises(RuntimeError, match=words.replace(path, "recompute")):
        choose(CONV_PATHS, "recompute", conv(situation))


def test_a_path_for_another_kind_of_basis_raises() -> None:
    words = 'impossible here: the basis has tensors for each edge; use path="auto" or "edges" or "reference"'
    with pytest.raises(RuntimeError, match=f'^path="recompute" is {words}$'):
        choose(LINEAR_PATHS, "recompute", linear(per_edge=True))
    words = 'impossible here: .* that all outputs share; use path="auto" or "recompute" or "reference"'
    with pytest.raises(RuntimeError, match=f'^path="edges" is {words}$'):
        choose(LINEAR_PATHS, "edges", linear())


def test_a_layer_says_which_path_its_basis_cannot_take() -> None:
    layer = fk.KANLinear(3, 2, fk.Wavelet())
    layer.path = "recompute"
    with pytest.raises(RuntimeError, match='use path="auto" or "edges"'):
        layer(torch.randn(4, 3))


def test_unknown_path_raises() -> None:
    with pytest.raises(ValueError, match="'auto', 'triton', 'recompute', 'edges', 'reference', got 'fast'"):
        choose(LINEAR_PATHS, "fast", linear())


def test_a_path_may_be_only_for_those_who_ask() -> None:
    shy = Path("shy", "it can", lambda call: None, lambda call: call.x, lambda call: "it is slow")
    assert choose((shy, LINEAR_PATHS[-1]), "auto", linear()) == (LINEAR_PATHS[-1], "it is slow")
    assert choose((shy, LINEAR_PATHS[-1]), "shy", linear()) == (shy, "requested")


def test_the_last_path_of_each_list_refuses_nothing() -> None:
    for situation in (PLAIN, COMPILING, TRANSFORMED, DUAL):
        assert LINEAR_PATHS[-1].refuses(linear(situation)) is None
        assert LINEAR_PATHS[-1].refuses(linear(situation, per_edge=True, device="mps")) is None
        assert CONV_PATHS[-1].refuses(conv(situation)) is None


def test_a_path_sees_the_whole_call() -> None:
    seen = []
    layer, x = fk.KANLinear(4, 2, base="silu"), torch.randn(3, 4)
    spy = Path("spy", "to look", lambda call: None, lambda call: seen.append(call) or torch.zeros(3, 2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fasterkan.nn.linear.LINEAR_PATHS", (spy, *LINEAR_PATHS))
        layer(x)
    (call,) = seen
    assert call.x is x and call.norm is layer.norm and call.weight is layer.weight and call.bias is layer.bias
    assert call.basis is layer.basis and call.params["grid"] is layer.grid and call.situation == PLAIN


@pytest.mark.parametrize(
    ("layer", "shape", "path"),
    [
        (lambda: fk.KANLinear(4, 2), (3, 4), "recompute"),
        (lambda: fk.KANLinear(4, 2, fk.Wavelet()), (3, 4), "edges"),
        (lambda: fk.KANConv2d(3, 2, 3), (1, 3, 5, 5), "recompute"),
    ],
    ids=["layer", "wavelets", "convolution"],
)
def test_which_path(layer: Callable[[], nn.Module], shape: tuple[int, ...], path: str) -> None:
    module, x = layer(), torch.randn(*shape)
    assert fk.which_path(module, x)[0] == path
    reasons = []
    torch.func.vmap(lambda rows: reasons.append(fk.which_path(module, rows)) or rows)(x.unsqueeze(0))
    assert reasons == [("reference", "a torch.func transform differentiates the formula itself")]
    module.path = "reference"
    assert fk.which_path(module, x) == ("reference", "requested")
    with pytest.raises(TypeError, match="which_path: layer must be a KANLinear or a KANConv, got Linear"):
        fk.which_path(nn.Linear(4, 2), x)


def test_situation_sees_transforms_and_tangents() -> None:
    seen = []
    x = torch.randn(3)

    def look(v: torch.Tensor) -> torch.Tensor:
        seen.append(Situation.of(v))
        return v.sum()

    look(x)
    torch.func.grad(look)(x)
    torch.func.vmap(look)(x.unsqueeze(0))
    with forward_ad.dual_level():
        look(x)
        look(forward_ad.make_dual(x, torch.ones_like(x)))
    assert seen == [PLAIN, TRANSFORMED, TRANSFORMED, PLAIN, DUAL]


def test_situation_sees_compilers() -> None:
    torch.compiler.reset()
    layer = fk.KANLinear(5, 3)
    layer.path = "recompute"
    with pytest.raises(Exception, match="is impossible here"):
        torch.compile(layer, backend="eager", fullgraph=True)(torch.randn(2, 5))


def test_layer_obeys_its_path(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    paths = tuple(dataclasses.replace(p, run=lambda call, p=p: called.append(p.name) or call.x) for p in LINEAR_PATHS)
    monkeypatch.setattr("fasterkan.ops.linear.LINEAR_PATHS", paths)
    basis = fk.RSWAF(3)
    z, params, weight = torch.randn(2, 4), basis.init(4, 4), torch.randn(4, 4, 3)
    for path in ("auto", "reference", "recompute"):
        kan_linear(z, weight, None, basis, params, path=path)
    wavelet = fk.Wavelet()
    for path in ("auto", "edges"):
        kan_linear(z, weight[..., :1], None, wavelet, wavelet.init(4, 4), path=path)
    assert called == ["recompute", "reference", "recompute", "edges", "edges"]


def test_a_norm_is_part_of_the_operation() -> None:
    layer, x = fk.KANLinear(4, 2), torch.randn(3, 4)
    y = kan_linear(x, layer.weight, layer.bias, layer.basis, layer.basis_tensors(), norm=layer.norm)
    torch.testing.assert_close(y, layer(x), rtol=0, atol=0)
    with pytest.raises(ValueError, match=r"the norm made \(3, 2\) of \(3, 4\); it must keep the shape"):
        kan_linear(x, layer.weight, None, layer.basis, layer.basis_tensors(), norm=lambda v: v[:, :2])
