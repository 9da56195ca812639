"""Checkpoints of efficient-kan: knots that moved, factors that are multiplied in, and files that are none."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from fasterkan import import_checkpoint

from .checkpoints import State, changed, filled, peers, refused, without, write


def test_inputs_reach_far_outside_the_grid() -> None:
    for name in peers.ORIGINALS["efficient-kan"][3]:
        golden = peers.read(name)
        low, high = golden.state["layers.0.grid"].aminmax(dim=1)
        assert ((golden.x < low) | (golden.x > high)).sum() > 3, name


def test_updated_knots_stay_where_they_are(tmp_path: Path) -> None:
    golden = peers.read("efficient-5-4-3-updated")
    knots = golden.state["layers.0.grid"]
    assert (knots.diff() - knots.diff().mean(1, keepdim=True)).abs().max() > 0.1
    assert (knots - knots[0]).abs().max() > 0.01
    net = import_checkpoint(write(tmp_path / "a.pt", golden.state), "efficient-kan")
    assert torch.equal(net.layers[0].knots, knots)
    assert torch.equal(net.layers[1].knots, golden.state["layers.1.grid"])


def test_without_a_scaler(tmp_path: Path) -> None:
    golden = peers.read("efficient-12-7-5")
    folded = {k: t for k, t in golden.state.items() if "scaler" not in k}
    for n in range(2):
        folded[f"layers.{n}.spline_weight"] = (
            folded[f"layers.{n}.spline_weight"] * golden.state[f"layers.{n}.spline_scaler"][..., None]
        )
    net = import_checkpoint(write(tmp_path / "a.pt", folded), "efficient-kan")
    torch.testing.assert_close(net(golden.x), golden.y)


HOSTILE: dict[str, tuple[str, Callable[[State], Any], str]] = {
    "no-weights": (
        "efficient-12-7-5", without("layers.1.spline_weight"),
        "lacks layers.1.spline_weight; it has layers.0.base_weight, ",
    ),
    "infinity": (
        "efficient-12-7-5", filled("layers.0.spline_scaler", -math.inf),
        "holds NaN or infinity in layers.0.spline_scaler",
    ),
    "knots-fall": (
        "efficient-12-7-5", lambda s: {**s, "layers.1.grid": s["layers.1.grid"].flip(1)},
        "holds knots in layers.1.grid that do not increase (row 0), as a grid update on a constant feature leaves them",
    ),
    "knots-constant": ("efficient-12-7-5", filled("layers.0.grid", 0.5), "holds knots"),
    "other-degree": (
        "efficient-12-7-5",
        changed(layers__0__grid=torch.rand(12, 30), layers__1__grid=torch.rand(7, 30)),
        "is not a KAN of efficient-kan: 30 knots and 8 functions fit no degree",
    ),
    "rows": (
        "efficient-12-7-5", changed(layers__0__grid=torch.rand(11, 12)),
        "is not a KAN of efficient-kan: layers.0.grid has shape (11, 12), expected (12, any)",
    ),
    "dtypes": (
        "efficient-12-7-5", lambda s: {**s, "layers.1.grid": s["layers.1.grid"].double()},
        "holds torch.float64 numbers in layers.1.grid, expected float32",
    ),
    "whole-numbers": (
        "efficient-12-7-5", lambda s: {k: t.long() for k, t in s.items()},
        "holds torch.int64 numbers in layers.0.base_weight, expected float64, float32, bfloat16 or float16",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_contents_that_are_no_such_model(name: str, tmp_path: Path) -> None:
    file, change, words = HOSTILE[name]
    assert refused(write(tmp_path / "a.pt", change(peers.read(file).state)), "efficient-kan").startswith(words)
