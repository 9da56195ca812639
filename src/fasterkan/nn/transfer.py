"""Giving a layer the functions of another layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .._device import exact_on_cpu
from .computed import check_plain, check_readable
from .edge_functions import OUTSIDE, before_norm, behind_norm, exact_tensors, nodes, relative_error
from .edge_layer import EdgeLayer
from .feature_norm import FeatureScaling
from .row_norm import RowNorm
from .writing import planned


@torch.inference_mode(False)
@torch.no_grad()
def fit_layer(layer: EdgeLayer, other: EdgeLayer, x: Tensor | None = None) -> float:
    """Give `layer` the functions of `other` by least squares in float64; base branch, bias and mask are copied.

    Args:
        layer: gets new weights; its basis, grid and norm do not change. But a row norm (LayerNorm, RMSNorm) gets the
            learned gain and bias of the other layer's norm. The functions are then compared as functions of z, after
            the norms.
        other: a layer of equal widths, with any basis. Each norm must be None or a calibrated feature norm, or both
            must be row norms with equal settings.
        x: points [..., I] where the functions are compared; rows with NaN or infinity are left out. With None, the
            range of the layer's own grid is used.

    Returns:
        The relative RMS error of the edge functions.

    Raises:
        ValueError: widths, norms, base branches or `after` differ; `other` has a bias and `layer` has none; x has no
            finite row.
        RuntimeError: a feature norm is not calibrated yet; a tensor of `layer` is computed and does not take the new
            values. The layer is then unchanged.
    """
    _check(layer, other)
    mine, theirs = exact_tensors(layer), exact_tensors(other)
    row = isinstance(layer.norm, RowNorm)
    if x is None:
        own, inside = nodes(layer.basis, mine, layer.in_features)
        z = own if row else _scaled(other, before_norm(layer, own))
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
    if other.mask is not None:
        found = found * other.mask.unsqueeze(-1).to(found.device)
    layer.check_functions(layer.basis, layer.basis_tensors(), found)
    copies = [planned(layer, name, value) for name, value in _linear_parts(layer, other).items()]
    layer.set_functions(layer.basis, layer.basis_tensors(), found)
    for copy in copies:
        copy()
    layer.set_mask(other.mask)
    if other.base is not None:
        layer.base_input, scaling = other.branch_without_norm()
        layer.base_norm = None if scaling is None else scaling.to(layer.weight.device, layer.weight.dtype)
    for name in ("base", "after") + (("norm",) if row else ()):
        if isinstance(module := getattr(layer, name), nn.Module):
            module.load_state_dict(getattr(other, name).state_dict())
    return error


def _linear_parts(layer: EdgeLayer, other: EdgeLayer) -> dict[str, Tensor]:
    """The base weight and the bias that `layer` takes from `other`; 0 where it has none."""
    found = {}
    for name in ("base_weight", "bias"):
        if (target := getattr(layer, name)) is not None:
            source = getattr(other, name)
            found[name] = torch.zeros_like(target) if source is None else source
    if other.mask is not None and "base_weight" in found:
        found["base_weight"] = found["base_weight"] * other.mask.to(found["base_weight"].device)
    return found


def _scaled(layer: EdgeLayer, x: Tensor) -> Tensor:
    norm = layer.norm
    if not isinstance(norm, FeatureScaling):
        return x
    return (x - exact_on_cpu(norm.center)) * exact_on_cpu(norm.scale)


def _check(layer: EdgeLayer, other: EdgeLayer) -> None:
    """Raise an error if `layer` cannot take the functions of `other`."""
    for a in (layer, other):
        check_readable("fit_to", a)
        for name in ("norm", "base", "after"):
            if isinstance(module := getattr(a, name), nn.Module):
                check_plain(f"fit_to ({name})", module)
    widths = [(a.in_features, a.out_features) for a in (layer, other)]
    if widths[0] != widths[1]:
        raise ValueError(f"fit_to: this layer is {widths[0]} wide (inputs, outputs), the other {widths[1]}")
    if any(isinstance(a.norm, RowNorm) for a in (layer, other)):
        if repr(layer.norm) != repr(other.norm):
            raise ValueError(
                "fit_to: if a layer has a LayerNorm or RMSNorm, both layers need equal norms; this layer has "
                f"{layer.norm}, the other {other.norm}; make both layers with the same norm"
            )
    elif not all(a.norm is None or isinstance(a.norm, FeatureScaling) for a in (layer, other)):
        raise ValueError(
            f"fit_to: norms {layer.norm} and {other.norm} cannot be compared; None, feature norms, or two equal "
            "LayerNorms or RMSNorms can"
        )
    elif not all(a.norm is None or a.norm.calibrated for a in (layer, other)):
        raise RuntimeError("fit_to: a feature norm is not calibrated yet; call calibrate(X) on both layers first")
    if other.bias is not None and layer.bias is None:
        raise ValueError("fit_to: the other layer has a bias, this one has none; make it with bias=True")
    for name in ("base", "after"):
        own, theirs = getattr(layer, name), getattr(other, name)
        same = own is theirs or (type(own) is type(theirs) and isinstance(own, nn.Module) and repr(own) == repr(theirs))
        if not same and not (name == "base" and theirs is None):
            raise ValueError(
                f"fit_to: {name} of the other layer is {theirs}, of this one {own}; make both with the same {name}"
            )
