"""Checkpoints of networks of ChebyKAN's layers, under any names, and files that are none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import fasterkan as fk
from fasterkan import import_checkpoint

from .checkpoints import State, changed, peers, refused, without, write


@pytest.mark.parametrize(
    "names",
    [("chebykan{}", "ln{}"), ("layers.{0}1", "layers.{0}2"), ("net.kan{}", "net.norm{}"), ("{0}0", "{0}5")],
    ids=["notebook", "sequential", "module", "numbers"],
)
def test_names_of_cheby_layers_are_the_users_own(names: tuple[str, str], tmp_path: Path) -> None:
    """Twelve layers, so that 10 comes after 9, not after 1."""
    net = fk.ChebyKAN([5] * 13, 3)
    state = {}
    for n, layer in enumerate(net.layers, 1):
        state[names[0].format(n) + ".cheby_coeffs"] = layer.weight.detach().transpose(0, 1)
        state[names[0].format(n) + ".arange"] = torch.arange(4)
        if n > 1:
            with torch.no_grad():
                layer.norm.weight.mul_(n)
            for tensor in ("weight", "bias"):
                state[f"{names[1].format(n - 1)}.{tensor}"] = getattr(layer.norm, tensor).detach()
    again, x = import_checkpoint(write(tmp_path / "a.pt", state), "cheby-kan"), torch.rand(4, 5)
    torch.testing.assert_close(again(x), net(x))


HOSTILE: dict[str, tuple[str, Callable[[State], Any], str]] = {
    "no-layer": (
        "cheby-6-4-2", lambda s: {"a.weight": torch.ones(3)},
        "holds no network of ChebyKANLayers: its names are a.weight, expected were some like chebykan1.cheby_coeffs",
    ),
    "norms": (
        "cheby-12-7-5-3", without("ln2.weight", "ln2.bias"),
        "holds 3 layers and 1 norms (ln1); expected was a LayerNorm in front of every layer but the first, or none",
    ),
    "norm-width": (
        "cheby-12-7-5-3", changed(ln1__weight=torch.ones(5)),
        "is not a network of ChebyKANLayers: ln1.weight has shape (5), expected (7)",
    ),
    "degrees": (
        "cheby-6-4-2", changed(chebykan2__cheby_coeffs=torch.ones(4, 2, 5)),
        "is not a network of ChebyKANLayers: chebykan2.cheby_coeffs has shape (4, 2, 5), expected (4, any, 7)",
    ),
    "orders": (
        "cheby-6-4-2", changed(chebykan1__arange=torch.arange(7) + 1),
        "holds chebykan1.arange = [1, 2, 3, 4, 5, 6, 7], expected 0 .. 6",
    ),
    "extra": ("cheby-6-4-2", changed(head__bias=torch.ones(2)), "holds more than a network"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_contents_that_are_no_such_model(name: str, tmp_path: Path) -> None:
    file, change, words = HOSTILE[name]
    assert refused(write(tmp_path / "a.pt", change(peers.read(file).state)), "cheby-kan").startswith(words)
