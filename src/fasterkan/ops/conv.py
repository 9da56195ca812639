"""The operation of a convolution."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from ..bases import Basis, Params
from .call import ConvCall
from .conv_reference import ConvGeometry
from .dispatch import choose
from .linear import differentiable
from .paths import CONV_PATHS
from .situation import Situation


def kan_conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    basis: Basis,
    params: Params,
    geometry: ConvGeometry,
    *,
    norm: Callable[[Tensor], Tensor] | None = None,
    pad: Callable[[Tensor], Tensor] | None = None,
    path: str = "auto",
) -> Tensor:
    """Return y[n, o, p] = sum_ckj weight[o, c, k, j] phi_k(z[n, s p + d j, c]) + bias[o] at all positions p.

    Args:
        x: with the channels last, [B, *S, C].
        weight: [O, C / groups, K, *kernel].
        bias: [O] or None.
        basis: the family of functions phi_k.
        params: the basis' tensors by name, with the shapes from `basis.init` for C features.
        geometry: stride s, dilation d and the number of groups.
        norm: computes z from x, in the same shape; with None, z is x.
        pad: pads z; with None, there is no padding.
        path: "auto", or the name of a path; a path that cannot compute the call raises an error.

    Returns:
        y [B, O, *S'] in the dtype of weight, or of autocast; in memory the channels come last.

    Raises:
        ValueError, RuntimeError: as in `choose`; the norm changes the shape.
    """
    call = conv_call(x, weight, bias, basis, params, geometry, norm, pad)
    return choose(CONV_PATHS, path, call)[0].run(call)


def conv_call(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    basis: Basis,
    params: Params,
    geometry: ConvGeometry,
    norm: Callable[[Tensor], Tensor] | None = None,
    pad: Callable[[Tensor], Tensor] | None = None,
) -> ConvCall:
    """Return the call of `kan_conv`, with the situation in which it is made."""
    situation = Situation.of(x, differentiable(weight, bias, params, norm))
    return ConvCall(x, norm, pad, weight, bias, basis, params, geometry, situation)
