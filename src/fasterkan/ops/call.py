"""One call of a layer or a convolution: all that a path needs to decide whether it can compute the call."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ..bases import Basis, Params
from .conv_reference import ConvGeometry
from .precision import at_least_float32
from .situation import Situation


class LinearCall(NamedTuple):
    """y[..., o] = sum_ik weight[o, i, k] phi_k(norm(x)[..., i]) + bias[o]; with `basis.per_edge`, phi_oik."""

    x: Tensor
    """[..., I], the input of the layer."""
    norm: Callable[[Tensor], Tensor] | None
    """Computes z [..., I] from x; with None, z is x."""
    weight: Tensor
    """[O, I, K]."""
    bias: Tensor | None
    """[O]."""
    basis: Basis
    params: Params
    """The basis' tensors by name, in any floating-point dtype."""
    situation: Situation
    """Whether the call is traced, transformed or in forward mode."""

    def normalised(self) -> tuple[Tensor, Params]:
        """Return z [..., I], float32 or more, and the basis' tensors in its dtype."""
        z = normalised(self.x, self.norm)
        return z, in_dtype(self.params, z.dtype)


class ConvCall(NamedTuple):
    """y[n, o, p] = sum_ckj weight[o, c, k, j] phi_k(z[n, s p + d j, c]) + bias[o], z = pad(norm(x))."""

    x: Tensor
    """[B, *S, C]: the channels last."""
    norm: Callable[[Tensor], Tensor] | None
    """Computes z [B, *S, C] from x; with None, z is x."""
    pad: Callable[[Tensor], Tensor] | None
    """Pads z; with None, there is no padding."""
    weight: Tensor
    """[O, C / groups, K, *kernel]."""
    bias: Tensor | None
    """[O]."""
    basis: Basis
    params: Params
    """The basis' tensors by name, in any floating-point dtype."""
    geometry: ConvGeometry
    """Stride s, dilation d and the number of groups."""
    situation: Situation
    """Whether the call is traced, transformed or in forward mode."""

    def normalised(self) -> tuple[Tensor, Params]:
        """Return z [B, *S, C], padded, float32 or more, and the basis' tensors in its dtype."""
        z = normalised(self.x, self.norm)
        return z if self.pad is None else self.pad(z), in_dtype(self.params, z.dtype)


def normalised(x: Tensor, norm: Callable[[Tensor], Tensor] | None) -> Tensor:
    """Return norm(x) in float32 or more, the dtype in which a basis is evaluated.

    Raises:
        ValueError: the norm changes the shape.
    """
    z = x if norm is None else norm(x)
    if z.shape != x.shape:
        raise ValueError(f"the norm made {tuple(z.shape)} of {tuple(x.shape)}; it must keep the shape")
    return at_least_float32(z)


def in_dtype(params: Params, dtype: torch.dtype) -> Params:
    """Return the tensors, converted to a dtype."""
    return {name: tensor if tensor.dtype == dtype else tensor.to(dtype) for name, tensor in params.items()}
