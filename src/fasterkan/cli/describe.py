"""The numbers that describe a saved model."""

from __future__ import annotations

import json
from typing import Any

from torch import nn

from ..models import KAN, MLP, Pretrained
from ..nn import KANLinear
from ..nn.base_branch import base_name
from ..nn.layer import KANLayer
from ..train import versions
from .saved import SavedModel

_OWN = {"weight": "weights", "base_weight": "base", "bias": "bias"}
_NO_NUMBERS = {"mask"}


def describe(saved: SavedModel) -> dict[str, Any]:
    """Return architecture, counts, sizes in bytes and versions as values for JSON.

    `parameters` has the number of stored values for each part: weights W, grid (the tensors of the basis), norms, bias,
    base, and for a head behind convolutions the convolutions with their norms. `whole` is their sum. `trainable` is the
    number of parameters, including those that a run kept frozen. `edges` is the number of learnable functions, 0 for an
    MLP; each weight of a KAN convolution is one.
    """
    model = saved.model
    head = getattr(model, "head", model)
    stored = model.state_dict().values()
    made_with = json.loads((saved.folder / "config.json").read_text(encoding="utf-8"))["fasterkan_version"]
    return {
        "model": type(model).__name__,
        "layers": list(getattr(model, "layers_hidden", ())),
        **_functions(head),
        "edges": sum(map(_edges, model.modules())),
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


def count_by_part(model: Pretrained) -> dict[str, int]:
    """Return the number of stored values in each part, learned or not."""
    counts = dict.fromkeys(("weights", "grid", "norms", "bias", "base"), 0)
    head = getattr(model, "head", model)
    if isinstance(head, MLP):
        for name, tensor in head.state_dict().items():
            counts["bias" if name.endswith("bias") else "weights"] += tensor.numel()
    for layer in head.kan_layers() if isinstance(head, KAN) else ():
        for name, tensor in layer.state_dict().items():
            if name in _NO_NUMBERS:
                continue
            counts[_part(layer, name)] += tensor.numel()
    if head is not model:
        counts["convolutions"] = sum(t.numel() for n, t in model.state_dict().items() if not n.startswith("head."))
    return counts


def _functions(head: Any) -> dict[str, str | None]:
    """What the units compute: basis, norm and base branch of a KAN, activation of an MLP."""
    if isinstance(head, KAN):
        return {"basis": str(head.basis), "norm": str(head.norm), "base": base_name(head.base)}
    return {"activation": base_name(head.activation)} if isinstance(head, MLP) else {}


def _edges(module: nn.Module) -> int:
    if not isinstance(module, KANLayer):
        return 0
    mask = getattr(module, "mask", None)
    return module.weight.numel() // module.basis.num_basis if mask is None else int(mask.sum())


def _part(layer: KANLinear, name: str) -> str:
    if name in _OWN:
        return _OWN[name]
    return "grid" if name in layer.basis_tensors() else "norms"
