"""Find the path that would compute a layer."""

from __future__ import annotations

from torch import Tensor, nn

from .conv import KANConv1d, KANConv2d, KANConv3d
from .linear import KANLinear


def which_path(layer: nn.Module, x: Tensor) -> tuple[str, str]:
    """Return the name of the path that would compute a layer for x, and the reason; nothing is computed.

    Args:
        layer: a KANLinear or a KANConv1d, 2d or 3d.
        x: an input of the layer.

    Raises:
        TypeError, ValueError: the module is of another kind, or the layer cannot take x.
        RuntimeError: `layer.path` names a path that cannot compute this call.

    Example:
        >>> import torch
        >>> which_path(KANLinear(8, 8), torch.rand(4, 8))
        ('recompute', 'eager: the basis is rebuilt, not kept')
    """
    if not isinstance(layer, KANLinear | KANConv1d | KANConv2d | KANConv3d):
        raise TypeError(f"which_path: layer must be a KANLinear or a KANConv, got {type(layer).__name__}")
    return layer.which_path(x)
