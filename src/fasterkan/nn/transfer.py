"""Giving a layer the functions of another layer, and what grid care shares with it: points, tensors, errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ..bases import Basis, Params
from ..bases._grid import subdivided
from .feature_norm import FeatureScaling
from .row_norm import RowNorm

if TYPE_CHECKING:
    from .linear import KANLinear

OUTSIDE = 1e-4
"""Importance of points beyond the range of a grid, where the bumps of bases with global support still reach."""


def fit_layer(layer: KANLinear, other: KANLinear, x: Tensor | None = None) -> float:
    """Give `layer` the functions of `other` by least squares in float64; base weights, bias and mask are copied.

    Args:
        layer: gets new weights; its basis, grid and norm stay as they are. A row norm (LayerNorm, RMSNorm) gets the
            learned gain and bias of the other's, and functions are compared in z, behind the norms.
        other: a layer of equal widths, with any basis. Norms: each None or a calibrated feature norm, or both row
            norms of equal settings.
        x: where to compare, [..., I]; rows with NaN or infinity are left out. None compares over the range of the
            layer's own grid.

    Returns:
        The relative RMS error of the edge functions.

    Raises:
        ValueError: other widths, norms, base branches or followers (`after`); `other` has a bias and `layer` none; x
            holds no finite row.
        RuntimeError: a feature norm is not calibrated yet.
    """
    _check(layer, other)
    mine, theirs = exact_tensors(layer), exact_tensors(other)
    row = isinstance(layer.norm, RowNorm)
    if x is None:
        own, inside = nodes(layer.basis, mine, layer.in_features)
        z = own if row else _scaled(other, _unscaled(layer, own))
        importance = torch.full((len(own),), OUTSIDE, dtype=torch.float64, device="cpu")
        importance[:inside] = 1
    else:
        own, z, importance = behind_norm(other if row else layer, x), behind_norm(other, x), None
        inside = len(own)
    if not (torch.isfinite(own) & torch.isfinite(z)).all(-1).any():
        raise ValueError(f"fit_to: x holds no finite row of {layer.in_features} features; give some data")
    weight = other.weight.to(layer.weight.dtype)
    found, _ = other.basis.refit(theirs, weight, z, layer.basis, mine, own, importance)
    error = relative_error((other.basis, theirs, weight, z[:inside]), (layer.basis, mine, found, own[:inside]))
    with torch.no_grad():
        layer.set_mask(other.mask)
        layer.weight.copy_(found)
        for name in ("base_weight", "bias"):
            if (target := getattr(layer, name)) is not None:
                source = getattr(other, name)
                target.zero_() if source is None else target.copy_(source)
    for name in ("base", "after") + (("norm",) if row else ()):
        if isinstance(module := getattr(layer, name), nn.Module):
            module.load_state_dict(getattr(other, name).state_dict())
    return error


def exact_tensors(layer: KANLinear) -> dict[str, Tensor]:
    """Return the basis' tensors in float64 on the CPU, without gradient."""
    return {k: t.detach().to("cpu", torch.float64) for k, t in layer.basis_tensors().items()}


def behind_norm(layer: KANLinear, x: Tensor) -> Tensor:
    """Return z = norm(x) as rows [N, I], float64 on the CPU; the norm neither learns nor follows the data."""
    layer.check_input(x)
    z = x
    if layer.norm is not None:
        training = {m: m.training for m in layer.norm.modules()}
        try:
            with torch.no_grad():
                z = layer.norm.eval()(x)
        finally:
            for module, flag in training.items():
                module.training = flag
    return z.detach().reshape(-1, layer.in_features).to("cpu", torch.float64)


def nodes(basis: Basis, tensors: Params, in_features: int) -> tuple[Tensor, int]:
    """Return points z [S, I] to compare functions at, float64, and how many of them, the first, lie on the grid.

    They are spread as each feature's grid, evenly in each of its intervals, however unequal these are (without a grid,
    evenly over grid_range). For ordered families of global support some lie beyond its ends too, as far as the last
    centres do: OUTSIDE is their importance.
    """
    grid, sites = basis.grid_of(tensors), basis.sites(tensors)
    if grid is None:
        grid = torch.tensor(basis.grid_range, dtype=torch.float64, device="cpu")
    grid = grid.expand(in_features, -1)
    low, high = grid[:, 0], grid[:, -1]
    count = 8 * max(8, basis.num_basis) + 1
    z = subdivided(grid, count).mT
    if sites is None or basis.support == "compact":
        return z, count
    first, last = sites[..., [0, -1]].expand(in_features, 2).unbind(-1)
    beyond = (
        _between(torch.minimum(first, low), low, count // 8),
        _between(high, torch.maximum(high, last), count // 8),
    )
    return torch.cat([z, *beyond]), count


Functions = tuple[Basis, Params, Tensor, Tensor]


def relative_error(old: Functions, new: Functions) -> float:
    """Return the RMS of the difference of edge functions over the RMS of the old; each is (basis, tensors, W, z)."""
    tables = []
    with torch.no_grad():
        for basis, tensors, weight, z in (old, new):
            phi = basis.evaluate(z, tensors)  # [S, I, K], or [S, O, I, K]
            phi = phi if basis.per_edge else phi.unsqueeze(1)
            tables.append((phi, weight.detach().to("cpu", torch.float64)))
        difference = size = 0.0
        for o in range(len(tables[0][1])):  # output by output: never [S, O, I]
            values = [(phi[:, o if phi.shape[1] > 1 else 0] * weight[o]).sum(-1) for phi, weight in tables]
            difference += float((values[1] - values[0]).square().sum())
            size += float(values[0].square().sum())
    return (difference / max(size, torch.finfo(torch.float64).tiny)) ** 0.5


def _between(low: Tensor, high: Tensor, count: int) -> Tensor:
    """`count` points from low to high [I], ends included: [count, I]."""
    return low + torch.linspace(0, 1, count, dtype=torch.float64, device="cpu").unsqueeze(-1) * (high - low)


def _center_scale(layer: KANLinear) -> tuple[Tensor | float, Tensor | float]:
    norm = layer.norm
    if not isinstance(norm, FeatureScaling):
        return 0.0, 1.0
    if not norm.calibrated:
        raise RuntimeError("fit_to: a feature norm is not calibrated yet; call calibrate(X) on both layers first")
    return norm.center.to("cpu", torch.float64), norm.scale.to("cpu", torch.float64)


def _unscaled(layer: KANLinear, z: Tensor) -> Tensor:
    center, scale = _center_scale(layer)
    return z / scale + center


def _scaled(layer: KANLinear, x: Tensor) -> Tensor:
    center, scale = _center_scale(layer)
    return (x - center) * scale


def _check(layer: KANLinear, other: KANLinear) -> None:
    """Raise ValueError unless the functions of `other` have a place in `layer`."""
    widths = [(a.in_features, a.out_features) for a in (layer, other)]
    if widths[0] != widths[1]:
        raise ValueError(f"fit_to: this layer is {widths[0]} wide (inputs, outputs), the other {widths[1]}")
    if any(isinstance(a.norm, RowNorm) for a in (layer, other)):
        if repr(layer.norm) != repr(other.norm):
            raise ValueError(
                "fit_to: functions behind a norm of whole rows need equal norms, this layer has "
                f"{layer.norm}, the other {other.norm}; make both layers with the same norm"
            )
    elif not all(a.norm is None or isinstance(a.norm, FeatureScaling) for a in (layer, other)):
        raise ValueError(
            f"fit_to: norms {layer.norm} and {other.norm} cannot be compared; None, feature norms, or two equal "
            "LayerNorms or RMSNorms can"
        )
    if other.bias is not None and layer.bias is None:
        raise ValueError("fit_to: the other layer has a bias, this one has none; make it with bias=True")
    for name in ("base", "after"):
        own, theirs = getattr(layer, name), getattr(other, name)
        same = own is theirs or (type(own) is type(theirs) and isinstance(own, nn.Module) and repr(own) == repr(theirs))
        if not same and not (name == "base" and theirs is None):
            raise ValueError(
                f"fit_to: {name} of the other layer is {theirs}, of this one {own}; make both with the same {name}"
            )
