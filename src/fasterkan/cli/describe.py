"""The numbers that describe a saved model."""

from __future__ import annotations

import json
from typing import Any

from ..interpret import size_of
from ..models import KAN, FasterKANvolver
from ..nn import KANLinear
from ..nn.base_branch import base_name
from ..train import versions
from .saved import SavedModel

_OWN = {"weight": "weights", "base_weight": "base", "bias": "bias"}
_NO_NUMBERS = {"mask"}


def describe(saved: SavedModel) -> dict[str, Any]:
    """Return architecture, counts, sizes in bytes and versions as values for JSON.

    `parameters` has the number of stored values for each part: weights W, grid (the tensors of the basis), norms, bias,
    base, and for a FasterKANvolver its convolutions with their norms. `whole` is their sum. `trainable` is the number
    of parameters, including those that a run kept frozen.
    """
    model = saved.model
    head = model.head if isinstance(model, FasterKANvolver) else model
    stored = model.state_dict().values()
    made_with = json.loads((saved.folder / "config.json").read_text(encoding="utf-8"))["fasterkan_version"]
    return {
        "model": type(model).__name__,
        "layers": list(model.layers_hidden),
        "basis": str(head.basis),
        "norm": str(head.norm),
        "base": base_name(head.base),
        "edges": size_of(model).edges,
        "parameters": count_by_part(model),
        "trainable": sum(p.numel() for p in model.parameters()),
        "whole": sum(t.numel() for t in stored),
        "memory_bytes": sum(t.numel() * t.element_size() for t in stored),
        "disk_bytes": sum(file.stat().st_size for file in saved.folder.iterdir()),
        "dtype": str(next(model.parameters()).dtype).removeprefix("torch."),
        "versions": {**versions(), "saved with fasterkan": made_with},
        "config": None if saved.config is None else saved.config.to_dict(),
        "result": saved.result,
    }


def count_by_part(model: KAN | FasterKANvolver) -> dict[str, int]:
    """Return the number of stored values in each part, learned or not."""
    counts = dict.fromkeys(("weights", "grid", "norms", "bias", "base"), 0)
    for layer in model.kan_layers():
        for name, tensor in layer.state_dict().items():
            if name in _NO_NUMBERS:
                continue
            counts[_part(layer, name)] += tensor.numel()
    if isinstance(model, FasterKANvolver):
        counts["convolutions"] = sum(tensor.numel() for tensor in model.features.state_dict().values())
    return counts


def _part(layer: KANLinear, name: str) -> str:
    if name in _OWN:
        return _OWN[name]
    return "grid" if name in layer.basis_tensors() else "norms"
