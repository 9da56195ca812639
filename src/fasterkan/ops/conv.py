"""The one operation of a convolution."""

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
    """Return y[n, o, p] = sum_ckj weight[o, c, k, j] phi_k(z[n, s p + d j, c]) + bias[o], p and j spatial positions.

    Args:
        x: with the channels last, [B, *S, C].
        weight: [O, C / groups, K, *kernel].
        bias: [O] or None.
        basis: the family of functions phi_k.
        params: its tensors by name, as `basis.init` makes them for C features.
        geometry: stride s, dilation d and the number of groups.
        norm: makes z of x, in the same shape; None: x is z.
        pad: puts positions around z; None: none.
        path: "auto", or one path by name; an impossible one raises.

    Returns:
        y [B, O, *S'] in weight's dtype, or autocast's; in memory the channels come last.

    Raises:
        ValueError, RuntimeError: as `choose`; the norm does not keep the shape.
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
    """Return the call of `kan_conv`, with who is looking at it."""
    situation = Situation.of(x, differentiable(weight, bias, params, norm))
    return ConvCall(x, norm, pad, weight, bias, basis, params, geometry, situation)
