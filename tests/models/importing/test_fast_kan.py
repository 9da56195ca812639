"""Checkpoints of fast-kan that are none."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from fasterkan import import_checkpoint

from .checkpoints import State, changed, filled, peers, refused, without, write

HOSTILE: dict[str, tuple[str, Callable[[State], Any], str]] = {
    "another": (
        "fastkan-12-7-5", lambda s: nn.Linear(2, 3).state_dict(),
        "holds no FastKAN of fast-kan: its names are bias, weight, expected were some like layers.0.spline_linear.weig",
    ),
    "empty": ("fastkan-12-7-5", lambda s: {}, "holds no FastKAN of fast-kan: its names are none"),
    "layer-missing": (
        "fastkan-12-7-5", lambda s: {k: t for k, t in s.items() if "layers.0" not in k},
        "lacks a layer: it has the numbers [1] in names like layers.0.spline_linear.weight",
    ),
    "missing": (
        "fastkan-12-7-5", without("layers.1.base_linear.bias"),
        "lacks layers.1.base_linear.bias; it has layers.0.base_linear.bias, ",
    ),
    "extra": (
        "fastkan-12-7-5", changed(layers__0__gate=torch.ones(3)),
        "holds more than a FastKAN of fast-kan: layers.0.gate",
    ),
    "shape": (
        "fastkan-12-7-5", changed(layers__0__spline_linear__weight=torch.ones(7, 95)),
        "is not a FastKAN of fast-kan: layers.0.spline_linear.weight has shape (7, 95), expected (any, 96)",
    ),
    "chain": (
        "fastkan-12-7-5", changed(layers__1__layernorm__weight=torch.ones(6)),
        "is not a FastKAN of fast-kan: layers.1.layernorm.weight has shape (6), expected (7)",
    ),
    "nan": (
        "fastkan-12-7-5", filled("layers.1.base_linear.weight", math.nan),
        "holds NaN or infinity in layers.1.base_linear.weight; use an earlier checkpoint",
    ),
    "uneven-grid": (
        "fastkan-12-7-5", changed(layers__0__rbf__grid=torch.linspace(-1, 1, 8) ** 3),
        "holds a grid in layers.0.rbf.grid that is not uniform, so it does not tell the width of the bumps",
    ),
    "constant-grid": (
        "fastkan-12-7-5", filled("layers.0.rbf.grid", 1.0),
        "holds a grid in layers.0.rbf.grid that is not uniform",
    ),
    "is-faster": (
        "fastkan-12-7-5",
        lambda s: {**{k: t for k, t in s.items() if "base" not in k}, "layers.0.rbf.inv_denominator": torch.ones(())},
        "holds more than a FastKAN of fast-kan: layers.0.rbf.inv_denominator",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_contents_that_are_no_such_model(name: str, tmp_path: Path) -> None:
    file, change, words = HOSTILE[name]
    assert refused(write(tmp_path / "a.pt", change(peers.read(file).state)), "fast-kan").startswith(words)


def test_the_range_is_that_of_the_first_layer_and_each_layer_has_its_own_centres(tmp_path: Path) -> None:
    state = peers.read("fastkan-12-7-5").state
    grids = [torch.linspace(-2, 2, 8), torch.linspace(-5, 4, 8)]
    state |= {f"layers.{n}.rbf.grid": grid for n, grid in enumerate(grids)}
    net = import_checkpoint(write(tmp_path / "a.pt", state), "fast-kan")
    assert net.basis.grid_range == (-2.0, 2.0)
    assert all(torch.equal(layer.grid, grid) for layer, grid in zip(net.layers, grids, strict=True))
