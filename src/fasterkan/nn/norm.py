"""The norm of a layer: the names, descriptions and modules that `norm=` accepts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import nn

from ..bases import Basis
from .batch_range import BatchRange, BatchScaling
from .feature_norm import FeatureNorm, FeatureScaling
from .init import STANDARD_NORMAL, Distribution
from .row_norm import LayerNorm, RMSNorm, RowNorm

NormDescription = LayerNorm | RMSNorm | FeatureNorm | BatchRange
Norm = Literal["layer", "rms", "feature", "batch_range"] | NormDescription | nn.Module | None
NORMS: dict[str, type[NormDescription]] = {
    "layer": LayerNorm,
    "rms": RMSNorm,
    "feature": FeatureNorm,
    "batch_range": BatchRange,
}


def resolve_norm(norm: Norm) -> NormDescription | nn.Module | None:
    """Return the description that `norm` names; descriptions, modules and None are returned as they are.

    Raises:
        TypeError, ValueError: `norm` is none of these.
    """
    if isinstance(norm, str):
        if norm not in NORMS:
            known = ", ".join(f'"{name}"' for name in NORMS)
            raise ValueError(f"norm must be {known}, None, a description or a module; got {norm!r}")
        return NORMS[norm]()
    if norm is None or isinstance(norm, NormDescription | nn.Module):
        return norm
    raise TypeError(
        f'norm must be "layer", "rms", "feature", None, a description such as fk.LayerNorm(affine=False), or a module; '
        f"got {norm!r}"
    )


def build_norm(
    norm: Norm,
    in_features: int,
    basis: Basis,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> nn.Module | None:
    """Return the norm module for a layer of `in_features` inputs; errors are those of `resolve_norm` and `build`."""
    resolved = resolve_norm(norm)
    if resolved is None or isinstance(resolved, nn.Module):
        return resolved
    return resolved.build(in_features, basis, device, dtype)


def described(norm: nn.Module | None) -> NormDescription | nn.Module | None:
    """Return the description of a layer's norm; a module without a description is returned as it is."""
    return norm.description if isinstance(norm, RowNorm | FeatureScaling | BatchScaling) else norm


def start_of(norm: nn.Module | None, basis: Basis) -> Distribution:
    """Return the distribution of z after a norm at initialisation; for other modules, the standard normal."""
    return norm.start(basis) if isinstance(norm, RowNorm | FeatureScaling | BatchScaling) else STANDARD_NORMAL


def norm_to_config(norm: Norm) -> dict[str, Any] | None:
    """Return a dictionary for JSON from which `norm_from_config` makes an equal description.

    Raises:
        ValueError: the norm is a module without a description.
    """
    resolved = resolve_norm(norm)
    if isinstance(resolved, nn.Module):
        raise ValueError(f"norm {resolved!r} is a module: only None and the norms of fasterkan can be saved")
    return None if resolved is None else {"name": type(resolved).__name__, **dataclasses.asdict(resolved)}


def norm_from_config(config: Mapping[str, Any] | None) -> NormDescription | None:
    """Return the description that `norm_to_config` wrote.

    Raises:
        ValueError: the name or a field is unknown.
    """
    if config is None:
        return None
    fields = dict(config)
    name = fields.pop("name", None)
    known = {cls.__name__: cls for cls in NORMS.values()}
    if name not in known:
        raise ValueError(f"norm {name!r} is not known; known: {', '.join(known)}")
    accepted = {f.name for f in dataclasses.fields(known[name])}
    if unknown := sorted(set(fields) - accepted):
        raise ValueError(f"{name}: unknown fields {unknown}; it has {sorted(accepted)}")
    return known[name](**fields)
