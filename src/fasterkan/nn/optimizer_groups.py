"""Optimiser groups: weight decay for edge weights, but not for grids, widths, norms and biases."""

from __future__ import annotations

import math
from typing import Any

from torch import nn

from .._check import real_number
from .computed import parameters_behind
from .layer import KANLayer
from .row_norm import RowNorm

_COARSE, _EXPONENT = 8, math.log(10) / math.log(4)
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
_INSTANCE_NORMS = (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)
_NORMS = (RowNorm, nn.LayerNorm, nn.RMSNorm, nn.GroupNorm, *_BATCH_NORMS, *_INSTANCE_NORMS)


def param_groups(
    model: nn.Module, *, weight_decay: float = 0.01, lr: float | None = None, basis_lr: float | None = None
) -> list[dict[str, Any]]:
    """Return groups for a torch optimiser: weight matrices and kernels have weight decay, other parameters do not.

    Args:
        model: any module; plain `nn.Linear` and convolutions in it are grouped in the same way.
        weight_decay: for W, V and other tensors with two or more dimensions, except those of a norm or a basis.
        lr: learning rate of all groups; None leaves it to the optimiser, whatever the grid. Edge weights W of more than
            8 ordered local functions (`Basis.sites`) get lr * (8 / K)^1.66: a tenth for a grid four times as fine. A
            step then changes functions on a fine grid as little as on a grid of 8.
        basis_lr: learning rate of the parameters of the bases (grid, inv_denominator); default `lr`.

    Returns:
        Up to three groups, each with a "name" ("weights", "basis", "other"). For each K above 8 whose learning rate is
        scaled there is one more group, for example "weights-K32". Frozen parameters are left out. Shared parameters
        appear once.

    Raises:
        TypeError, ValueError: a number is not finite, or is negative.

    Example:
        >>> from fasterkan import KAN
        >>> optimizer = torch.optim.AdamW(param_groups(KAN([4, 8, 2]), weight_decay=0.05), lr=3e-3)
        >>> [group["weight_decay"] for group in optimizer.param_groups]
        [0.05, 0.0]
    """
    for name, value in (("weight_decay", weight_decay), ("lr", lr), ("basis_lr", basis_lr)):
        if value is not None and real_number("param_groups", name, value) < 0:
            raise ValueError(f"param_groups: {name} must not be negative, got {value}")
    basis = {id(p) for m in model.modules() if isinstance(m, KANLayer) for p in _basis_parameters(m)}
    norms = {id(p) for m in model.modules() if isinstance(m, _NORMS) for p in m.parameters(recurse=False)}
    fine = {} if lr is None else _fine_weights(model)
    sizes = sorted(set(fine.values()))
    groups: dict[str, list[nn.Parameter]] = {"weights": [], **{_name(k): [] for k in sizes}, "basis": [], "other": []}
    for parameter in model.parameters():
        if parameter.requires_grad:
            plain = id(parameter) in norms or parameter.dim() < 2
            kind = "basis" if id(parameter) in basis else "other" if plain else "weights"
            groups[_name(fine[id(parameter)]) if id(parameter) in fine else kind].append(parameter)
    rates = {"weights": lr, "basis": lr if basis_lr is None else basis_lr, "other": lr}
    if lr is not None:
        rates |= {_name(k): lr * (_COARSE / k) ** _EXPONENT for k in sizes}
    return [
        {
            "name": kind,
            "params": parameters,
            "weight_decay": weight_decay if kind.startswith("weights") else 0.0,
            **({} if rates[kind] is None else {"lr": rates[kind]}),
        }
        for kind, parameters in groups.items()
        if parameters
    ]


def _fine_weights(model: nn.Module) -> dict[int, int]:
    """K by the id of each parameter of edge weights on a fine grid; also those behind a parametrisation."""
    layers = [(m, k) for m in model.modules() if isinstance(m, KANLayer) and (k := _fine_grid(m))]
    return {id(p): k for layer, k in layers for p in parameters_behind(layer, "weight")}


def _fine_grid(module: nn.Module) -> int:
    """K of a layer of ordered functions if it is above _COARSE; else 0."""
    if not isinstance(module, KANLayer) or module.basis.num_basis <= _COARSE:
        return 0
    return module.basis.num_basis if module.basis.sites(module.basis_tensors()) is not None else 0


def _name(count: int) -> str:
    return f"weights-K{count}"


def _basis_parameters(layer: KANLayer) -> list[nn.Parameter]:
    return [p for name in layer.basis.trainable for p in parameters_behind(layer, name)]
