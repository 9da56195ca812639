"""Which path would compute a layer."""

from __future__ import annotations

from torch import Tensor, nn

from .conv import KANConv1d, KANConv2d, KANConv3d
from .linear import KANLinear


def which_path(layer: nn.Module, x: Tensor) -> tuple[str, str]:
    """Return the name of the path that would compute a layer for x, and why; nothing is computed.

    Args:
        layer: a KANLinear or a KANConv1d, 2d or 3d.
        x: as the layer takes it.

    Raises:
        TypeError, ValueError: another module, or an x that the layer cannot take.
        RuntimeError: `layer.path` names a path that cannot compute this call.

    Example:
        >>> import torch
        >>> which_path(KANLinear(8, 8), torch.rand(4, 8))
        ('recompute', 'eager: the basis is rebuilt, not kept')
    """
    if not isinstance(layer, KANLinear | KANConv1d | KANConv2d | KANConv3d):
        raise TypeError(f"which_path: layer must be a KANLinear or a KANConv, got {type(layer).__name__}")
    return layer.which_path(x)
