"""The choice of a path: a table, what it looks at, and no silent fallback."""

from __future__ import annotations

import pytest
import torch
import torch.autograd.forward_ad as forward_ad

import fasterkan as fk
from fasterkan.ops import Situation, choose, kan_linear

PLAIN = Situation()
COMPILING = Situation(compiling=True)
TRANSFORMED = Situation(transformed=True)
DUAL = Situation(dual=True)


@pytest.mark.parametrize(
    ("requested", "situation", "path", "reason"),
    [
        ("auto", PLAIN, "recompute", "eager"),
        ("auto", COMPILING, "reference", "traced by torch.compile"),
        ("auto", TRANSFORMED, "reference", "torch.func transform"),
        ("auto", DUAL, "reference", "forward-mode"),
        ("reference", PLAIN, "reference", "requested"),
        ("reference", COMPILING, "reference", "requested"),
        ("recompute", PLAIN, "recompute", "requested"),
    ],
)
def test_choice(requested: str, situation: Situation, path: str, reason: str) -> None:
    chosen, why = choose(requested, situation)
    assert chosen == path
    assert reason in why


@pytest.mark.parametrize("situation", [COMPILING, TRANSFORMED, DUAL], ids=str)
def test_explicit_and_impossible_raises(situation: Situation) -> None:
    with pytest.raises(RuntimeError, match=r'path="recompute" is impossible here: .*; use path="auto" or "reference"'):
        choose("recompute", situation)


@pytest.mark.parametrize(
    ("requested", "situation", "path", "reason"),
    [
        ("auto", PLAIN, "edges", "eager: the basis is rebuilt, tile by tile"),
        ("auto", COMPILING, "reference", "traced by torch.compile"),
        ("auto", TRANSFORMED, "reference", "torch.func transform"),
        ("auto", DUAL, "reference", "forward-mode"),
        ("reference", PLAIN, "reference", "requested"),
        ("edges", PLAIN, "edges", "requested"),
    ],
)
def test_choice_for_tensors_of_each_edge(requested: str, situation: Situation, path: str, reason: str) -> None:
    chosen, why = choose(requested, situation, per_edge=True)
    assert chosen == path
    assert reason in why


@pytest.mark.parametrize("situation", [COMPILING, TRANSFORMED, DUAL], ids=str)
def test_explicit_edges_and_impossible_raises(situation: Situation) -> None:
    with pytest.raises(RuntimeError, match=r'path="edges" is impossible here: .*; use path="auto" or "reference"'):
        choose("edges", situation, per_edge=True)


@pytest.mark.parametrize("situation", [PLAIN, COMPILING], ids=str)
def test_a_path_for_another_kind_of_basis_raises(situation: Situation) -> None:
    words = 'path="recompute" is impossible here: the basis has tensors for each edge; use path="auto" or "edges"'
    with pytest.raises(RuntimeError, match=f"^{words}$"):
        choose("recompute", situation, per_edge=True)
    words = 'path="edges" is impossible here: .* for all outputs in common; use path="auto" or "recompute"'
    with pytest.raises(RuntimeError, match=f"^{words}$"):
        choose("edges", situation)


def test_a_layer_says_which_path_its_basis_cannot_take() -> None:
    layer = fk.KANLinear(3, 2, fk.Wavelet())
    layer.path = "recompute"
    with pytest.raises(RuntimeError, match='use path="auto" or "edges"'):
        layer(torch.randn(4, 3))


def test_other_devices_take_the_formula() -> None:
    assert choose("auto", PLAIN, "cuda")[0] == "recompute"
    assert choose("auto", PLAIN, "mps") == ("reference", "mps takes the formula")
    assert choose("auto", PLAIN, "cuda", per_edge=True)[0] == "edges"
    assert choose("auto", PLAIN, "mps", per_edge=True)[0] == "reference"


def test_unknown_path_raises() -> None:
    with pytest.raises(ValueError, match="path must be one of 'auto', 'reference', 'recompute', 'edges', got 'fast'"):
        choose("fast", PLAIN)


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
    torch._dynamo.reset()
    layer = fk.KANLinear(5, 3)
    layer.path = "recompute"
    with pytest.raises(Exception, match="is impossible here"):
        torch.compile(layer, backend="eager", fullgraph=True)(torch.randn(2, 5))


def test_layer_obeys_its_path(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    monkeypatch.setattr(
        "fasterkan.ops.dispatch._CALLS",
        {p: lambda *a, p=p: called.append(p) or a[0] for p in ("reference", "recompute", "edges")},
    )
    basis = fk.RSWAF(3)
    z, params, weight = torch.randn(2, 4), basis.init(4, 4), torch.randn(4, 4, 3)
    for path in ("auto", "reference", "recompute"):
        kan_linear(z, weight, None, basis, params, path=path)
    wavelet = fk.Wavelet()
    for path in ("auto", "edges"):
        kan_linear(z, weight[..., :1], None, wavelet, wavelet.init(4, 4), path=path)
    assert called == ["recompute", "reference", "recompute", "edges", "edges"]
