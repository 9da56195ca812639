"""The two products of rows with the weight, by the faster of PyTorch's two libraries.

On CPUs PyTorch computes matrix products with MKL and convolutions with oneDNN. On AMD processors MKL takes a slow code
path. There a convolution whose kernel covers the whole row gives the same sum, up to twice as fast
(`benchmarks/products.py`). Its rounding error is about twice as large: 6e-7 relative against 3e-7 in float32.
"""

from __future__ import annotations

import platform
from functools import lru_cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.grad import conv2d_input

LEAST = 1 << 24
"""Smallest number of multiply-adds for which a convolution is faster."""
_LEAST_OUTPUTS = 64


def rows_product(rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return rows @ weight^T + bias, [N, C], [O, C] and [O] -> [N, O], in the dtype of the rows."""
    if not convolution_is_faster(rows, weight):
        if bias is None or bias.dtype == rows.dtype:
            return F.linear(rows, weight, bias)
        return F.linear(rows, weight).add_(bias)
    (n, c), o = rows.shape, weight.shape[0]
    y = F.conv2d(rows.reshape(n, 1, 1, c), weight.reshape(o, 1, 1, c)).view(n, o)
    return y if bias is None else y.add_(bias)


def rows_gradient(dy: Tensor, weight: Tensor) -> Tensor:
    """Return dy @ weight, [N, O] and [O, C] -> [N, C], in their dtype."""
    if not convolution_is_faster(dy, weight):
        return dy @ weight
    (n, o), c = dy.shape, weight.shape[1]
    kernel = weight.reshape(o, 1, 1, c)
    return conv2d_input([n, 1, 1, c], kernel, dy.reshape(n, o, 1, 1)).view(n, c)


def convolution_is_faster(rows: Tensor, weight: Tensor) -> bool:
    """Whether the products of N rows with a weight [O, C] are faster as convolutions."""
    return (
        rows.shape[0] * weight.numel() >= LEAST
        and weight.shape[0] >= _LEAST_OUTPUTS
        and rows.dtype == torch.float32
        and rows.device.type == "cpu"
        and slow_products()
    )


@lru_cache
def slow_products() -> bool:
    """Whether MKL multiplies matrices on an AMD processor, and oneDNN is available."""
    if not (torch.backends.mkl.is_available() and torch.backends.mkldnn.is_available()):
        return False
    cpuinfo = Path("/proc/cpuinfo")
    about = cpuinfo.read_text(encoding="utf-8", errors="replace") if cpuinfo.is_file() else platform.processor()
    return "AuthenticAMD" in about
