"""Checkpoints of torchkan: KANvolver, and files that are none."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import fasterkan as fk
from fasterkan import import_checkpoint

from .checkpoints import State, changed, filled, peers, refused, without, write


def test_a_kanvolver(tmp_path: Path) -> None:
    golden = peers.read("kanvolver-12-5")
    path = write(tmp_path / "a.pt", golden.state)
    net = import_checkpoint(path, "torchkan")
    assert net.to_config() == fk.KANvolver([12, 5], 3, last_activation=True).to_config()
    assert net.head.layers[1].after.norm.num_batches_tracked == golden.state["batch_norms.1.num_batches_tracked"]
    assert golden.y.min() == 0 < golden.y.max()  # its last ReLU is at work
    silu = import_checkpoint(path, "torchkan", base_activation="silu")
    assert (silu(golden.x) - golden.y).abs().max() > 0.1


HOSTILE: dict[str, tuple[str, Callable[[State], Any], str]] = {
    "kal-columns": (
        "kal-12-7-5", changed(poly_weights__0=torch.ones(7, 47)),
        "is not a KAL_Net of torchkan: poly_weights.0 has 47 columns, expected a multiple of its 12 inputs",
    ),
    "kal-orders": (
        "kal-12-7-5", changed(poly_weights__1=torch.ones(5, 35)),
        "is not a KAL_Net of torchkan: poly_weights.1 has shape (5, 35), expected (5, 28)",
    ),
    "kal-norm": ("kal-12-7-5", without("layer_norms.1.bias"), "lacks layer_norms.1.bias; it has "),
    "kal-zero-size": (
        "kal-12-7-5", changed(base_weights__0=torch.ones(7, 0)),
        "is not a KAL_Net of torchkan: base_weights.0 has shape (7, 0), expected (any, any)",
    ),
    "volver-stem": (
        "kanvolver-10",
        changed(feature_extractor__3__weight=torch.ones(32, 16, 5, 5)),
        "is not a KANvolver of torchkan: feature_extractor.3.weight has shape (32, 16, 5, 5), expected (32, 16, 3, 3)",
    ),
    "volver-counter": (
        "kanvolver-10",
        changed(batch_norms__0__num_batches_tracked=torch.ones(())),
        "is not a KANvolver of torchkan: batch_norms.0.num_batches_tracked is torch.float32 (), "
        "expected a whole number",
    ),
    "volver-no-counter": (
        "kanvolver-10",
        without("batch_norms.0.num_batches_tracked"),
        "lacks batch_norms.0.num_batches_tracked; it has base_weights.0.bias, ",
    ),
    "volver-columns": (
        "kanvolver-10",
        changed(poly_weights__0__weight=torch.ones(10, 4703)),
        "is not a KANvolver of torchkan: poly_weights.0.weight has 4703 columns, "
        "expected a multiple of its 1568 inputs",
    ),
    "volver-no-head": (
        "kanvolver-10",
        lambda s: {k: t for k, t in s.items() if k.startswith("feature")},
        "holds no KANvolver of torchkan: its names are feature_extractor.0.bias, ",
    ),
    "volver-nan": ("kanvolver-10", filled("batch_norms.0.running_var", math.nan), "holds NaN or inf"),
    "splines": (
        "kal-12-7-5", changed(spline_weights__0=torch.ones(7, 12, 8)),
        "holds torchkan's KAN with splines (spline_weights, prelus); only its KAL_Net and KANvolver can be imported",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_contents_that_are_no_such_model(name: str, tmp_path: Path) -> None:
    file, change, words = HOSTILE[name]
    assert refused(write(tmp_path / "a.pt", change(peers.read(file).state)), "torchkan").startswith(words)
