"""The norm of a convolution: it acts at each pixel, over the channels of each group."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..bases import Basis
from ..ops import at_least_float32, row_norm
from .norm import Norm, resolve_norm
from .row_norm import LayerNorm, RMSNorm, RowNorm


class GroupedRowNorm(RowNorm):
    """`RowNorm` over each of `groups` equal parts of the features, with a gain (and bias) for every feature, [I]."""

    def __init__(
        self,
        description: LayerNorm | RMSNorm,
        in_features: int,
        groups: int,
        basis: Basis,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(description, in_features, basis, device, dtype)
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        """Return z [..., I], float32 (float64 for float64)."""
        parts = at_least_float32(x).unflatten(-1, (self.groups, -1))
        ones = torch.ones(parts.shape[-1], dtype=parts.dtype, device=parts.device)
        center = isinstance(self.description, LayerNorm)
        z = row_norm(parts, ones, None, self.description.eps, center=center).flatten(-2) * self.weight.to(parts.dtype)
        return z if self.bias is None else z + self.bias.to(z.dtype)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, groups={self.groups}"


def build_pixel_norm(
    owner: str,
    norm: Norm,
    channels: int,
    groups: int,
    basis: Basis,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> nn.Module | None:
    """Return the norm module for pixels of `channels` in `groups`, [..., C] -> [..., C]; None for None.

    Raises:
        TypeError, ValueError: as in `resolve_norm`; a LayerNorm or RMSNorm has one channel only.
    """
    resolved = resolve_norm(norm)
    if resolved is None or isinstance(resolved, nn.Module):
        return resolved
    if isinstance(resolved, LayerNorm | RMSNorm):
        if channels == groups:
            constant = "0" if isinstance(resolved, LayerNorm) else "its sign"
            raise ValueError(
                f"{owner}: a group has one channel (in_channels {channels}, groups {groups}), and "
                f'{type(resolved).__name__} of one channel is {constant} whatever the image; use norm="feature", or '
                "norm=None for images that already lie in the basis' grid_range"
            )
        if groups > 1:
            resolved.build(channels // groups, basis, "meta")  # gives a warning for two channels
            return GroupedRowNorm(resolved, channels, groups, basis, device, dtype)
    return resolved.build(channels, basis, device, dtype)
