"""The call of the convolution: which way to compute it, chosen as for a linear layer."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from ..bases import Basis, Params
from .conv_recompute import kan_conv_recompute
from .conv_reference import ConvGeometry, kan_conv_reference
from .dispatch import Path, choose
from .situation import Situation

_CALLS: dict[str, Callable[..., Tensor]] = {"reference": kan_conv_reference, "recompute": kan_conv_recompute}


def kan_conv(
    z: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    basis: Basis,
    params: Params,
    geometry: ConvGeometry,
    *,
    path: Path = "auto",
) -> Tensor:
    """Return y[n, o, p] = sum_ckj weight[o, c, k, j] phi_k(z[n, s p + d j, c]) + bias[o], p and j spatial positions.

    Args:
        z: normalised and padded input with the channels last, [B, *S, C], float32 or float64.
        weight: [O, C / groups, K, *kernel].
        bias: [O] or None.
        basis: the family of functions phi_k.
        params: its tensors by name, as `basis.init` makes them for C features.
        geometry: stride s, dilation d and the number of groups.
        path: "auto", or one path by name; an impossible one raises.

    Returns:
        y [B, O, *S'] in weight's dtype, or autocast's; in memory the channels come last.

    Raises:
        ValueError, RuntimeError: as `choose`.
    """
    tensors = [t for t in (z, weight, bias, *params.values()) if t is not None]
    chosen, _ = choose(path, Situation.of(*tensors), z.device.type)
    return _CALLS[chosen](z, weight, bias, basis, params, geometry)
