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


def test_other_devices_take_the_formula() -> None:
    assert choose("auto", PLAIN, "cuda")[0] == "recompute"
    assert choose("auto", PLAIN, "mps") == ("reference", "mps takes the formula")


def test_unknown_path_raises() -> None:
    with pytest.raises(ValueError, match="path must be one of 'auto', 'reference', 'recompute', got 'fast'"):
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
        {p: lambda *a, p=p: called.append(p) or a[0] for p in ("reference", "recompute")},
    )
    basis = fk.RSWAF(3)
    z, params, weight = torch.randn(2, 4), basis.init(4, 4), torch.randn(4, 4, 3)
    for path in ("auto", "reference", "recompute"):
        kan_linear(z, weight, None, basis, params, path=path)
    assert called == ["recompute", "reference", "recompute"]
