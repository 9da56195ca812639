"""The convolution y[n, o, p] = sum_ckj W[o, c, k, j] phi_k(z[n, s p + d j, c]) + b[o] in plain torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..bases import Basis, Params
from .situation import no_autocast

_CONVOLUTIONS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


@dataclasses.dataclass(frozen=True)
class ConvGeometry:
    """How a kernel moves over its padded input: stride s and dilation d in each dimension."""

    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int = 1

    def output_sizes(self, sizes: Sequence[int], kernel: Sequence[int]) -> list[int]:
        """Return the spatial sizes of the output for those of the input; below 1 if the kernel does not fit."""
        numbers = zip(sizes, kernel, self.stride, self.dilation, strict=True)
        return [(size - dilation * (width - 1) - 1) // stride + 1 for size, width, stride, dilation in numbers]

    def convolve(self, panel: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
        """Return the convolution [B, O, *S'] of a panel [B, C, *S] with a kernel [O, C / groups, *width]."""
        convolution = _CONVOLUTIONS[len(self.stride)]
        return convolution(panel, kernel, bias, self.stride, 0, self.dilation, self.groups)

    def gradients(
        self, dy: Tensor, panel: Tensor, kernel: Tensor, wanted: tuple[bool, bool]
    ) -> tuple[Tensor | None, Tensor | None]:
        """Return the gradients of `convolve` for panel and kernel; None for a gradient that is not needed."""
        zero = [0] * len(self.stride)
        dpanel, dkernel, _ = torch.ops.aten.convolution_backward(
            dy, panel, kernel, None, self.stride, zero, self.dilation, False, zero, self.groups, [*wanted, False]
        )
        return dpanel, dkernel


def as_panel(phi: Tensor) -> Tensor:
    """Return phi [B, *S, C, K] as [B, C * K, *S]: a view in torch's channels-last memory format."""
    return phi.flatten(-2).movedim(-1, 1)


def kan_conv_reference(
    z: Tensor, weight: Tensor, bias: Tensor | None, basis: Basis, params: Params, geometry: ConvGeometry
) -> Tensor:
    """Return y [B, O, *S'] for z [B, *S, C] and weight [O, C / groups, K, *kernel]; autocast sets the dtype."""
    with no_autocast(z):
        phi = basis.evaluate(z, params)  # [B, *S, C, K]
    return geometry.convolve(as_panel(phi.to(weight.dtype)), weight.flatten(1, 2), bias)
