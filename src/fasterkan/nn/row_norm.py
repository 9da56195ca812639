"""Norms over the features of a row: LayerNorm and RMSNorm, with a gain that suits the basis."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Literal

import torch
from torch import Tensor, nn

from .._check import positive_number, whole_number
from ..bases import Basis
from ..ops import NormForm, at_least_float32, row_norm
from .init import Distribution, critical_gain
from .writing import check_writable, draw


@dataclasses.dataclass(frozen=True)
class _RowNormDescription:
    """The common part of LayerNorm and RMSNorm."""

    affine: bool = True
    gain: float | Literal["auto"] = "auto"
    eps: float = 1e-5
    absent: int = 0

    def __post_init__(self) -> None:
        name = type(self).__name__
        if not isinstance(self.affine, bool):
            raise TypeError(f"{name}: affine must be True or False, got {self.affine!r}")
        object.__setattr__(self, "eps", positive_number(name, "eps", self.eps))
        if self.eps < 1e-20:
            raise ValueError(f"{name}: eps must be at least 1e-20, float32 loses smaller ones; got {self.eps}")
        object.__setattr__(self, "absent", whole_number(name, "absent", self.absent, 0))
        if self.gain != "auto":
            object.__setattr__(self, "gain", positive_number(name, "gain", self.gain))


@dataclasses.dataclass(frozen=True)
class LayerNorm(_RowNormDescription):
    """Description of z = g (x - mean(x)) / sqrt(var(x) + eps) + b over the features of each row.

    Args:
        affine: learn g and b, one per feature; else g is the constant `gain` and b is 0. In the first layer of a
            network an affine norm costs one more matrix product in the backward: g and b need the gradient of z.
        gain: initial g; with "auto", gradients keep their size for the basis (`nn.init.critical_gain`).
        eps: added to the variance, in units of x squared.
        absent: number of removed features that mean and variance still count. Each has the constant value in the buffer
            `absent_values`. `fk.prune` sets it.

    Raises:
        ValueError: on `build`, if there is one feature, which would always become 0. With two features, which become
            +-1, there is a warning.
    """

    def build(
        self, in_features: int, basis: Basis, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> RowNorm:
        """Return the module for one layer."""
        if in_features + self.absent == 1:
            raise ValueError(
                'LayerNorm of one feature is 0 whatever the input: use norm="feature" (or norm=None for an input that '
                "already lies in the basis' grid_range)"
            )
        if in_features + self.absent == 2:
            warnings.warn(
                "LayerNorm of two features is +-1: only their order is kept. A network with few inputs cannot learn "
                'with it; use norm="feature"',
                UserWarning,
                stacklevel=4,
            )
        return RowNorm(self, in_features, basis, device, dtype)


@dataclasses.dataclass(frozen=True)
class RMSNorm(_RowNormDescription):
    """Description of z = g x / sqrt(mean(x^2) + eps) over the features of each row.

    Args:
        affine: learn g, one per feature; else g is the constant `gain`.
        gain: initial g, or "auto" as in `LayerNorm`.
        eps: added to the mean square, in units of x squared.
        absent: as in `LayerNorm`.

    Raises:
        ValueError: on `build`, if there is one feature, which would become +-1.
    """

    def build(
        self, in_features: int, basis: Basis, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> RowNorm:
        """Return the module for one layer."""
        if in_features + self.absent == 1:
            raise ValueError('RMSNorm of one feature is its sign, +-1: use norm="feature"')
        return RowNorm(self, in_features, basis, device, dtype)


class RowNorm(nn.Module):
    """The module behind `LayerNorm` and `RMSNorm`: `weight` [I], and `bias` [I] for an affine LayerNorm.

    Without `affine` the weight is a buffer: no gradient is computed for it, but checkpoints contain it.
    """

    weight: Tensor
    bias: Tensor | None
    absent_values: Tensor | None

    def __init__(
        self,
        description: LayerNorm | RMSNorm,
        in_features: int,
        basis: Basis,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.description = description
        self.gain = critical_gain(basis) if description.gain == "auto" else description.gain
        weight = torch.empty(in_features, device=device, dtype=dtype)
        centred = isinstance(description, LayerNorm)
        bias = torch.empty_like(weight) if centred and description.affine else None
        if description.affine:
            self.weight = nn.Parameter(weight)
            self.register_parameter("bias", None if bias is None else nn.Parameter(bias))
        else:
            self.register_buffer("weight", weight)
            self.register_buffer("bias", None)
        absent = torch.zeros(description.absent, device=device, dtype=dtype) if description.absent else None
        self.register_buffer("absent_values", absent)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the weight to the initial gain and the bias to 0."""
        check_writable("reset_parameters", "", self, ("weight", "bias"), shards=True)
        draw(self, "weight", lambda weight: nn.init.constant_(weight, self.gain))
        if self.bias is not None:
            draw(self, "bias", nn.init.zeros_)

    def start(self, basis: Basis) -> Distribution:
        """Return the distribution of z at initialisation."""
        return Distribution(width=self.gain)

    def norm_form(self) -> NormForm | str:
        """Return the norm as numbers, or the reason why it cannot be written so."""
        if type(self).forward is not RowNorm.forward:
            return f"{type(self).__name__} has a forward of its own"
        if self.absent_values is not None:
            return "the norm counts removed features"
        kind: Literal["layer", "rms"] = "layer" if isinstance(self.description, LayerNorm) else "rms"
        return NormForm(kind, self.weight, self.bias, self.description.eps)

    def check_ready(self, x: Tensor) -> None:
        """Do nothing: the norm needs no calibration."""

    def forward(self, x: Tensor) -> Tensor:
        """Return z [..., I], float32 (float64 for float64)."""
        center, eps = isinstance(self.description, LayerNorm), self.description.eps
        x, weight, bias, absent = at_least_float32(x), self.weight, self.bias, self.absent_values
        if weight.dtype != x.dtype:
            weight, bias = weight.to(x.dtype), None if bias is None else bias.to(x.dtype)
        if absent is None:
            return row_norm(x, weight, bias, eps, center=center)
        absent = absent.to(x.dtype)
        whole = torch.cat([x, absent.expand(*x.shape[:-1], -1)], -1)
        weight = torch.cat([weight, torch.ones_like(absent)])
        bias = None if bias is None else torch.cat([bias, torch.zeros_like(absent)])
        return row_norm(whole, weight, bias, eps, center=center)[..., : x.shape[-1]]

    def extra_repr(self) -> str:
        return f"{self.description}, in_features={self.weight.numel()}"
