"""Wav-KAN and FourierKAN: wavelets and Fourier series."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from ...bases import Fourier, Wavelet
from ...bases.wavelet import Kind
from ...nn.draw import normal_
from ..kan import KAN
from ._draw import like_linear_


def WavKAN(  # noqa: N802
    layers_hidden: Sequence[int],
    wavelet_type: Kind = "mexican_hat",
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    generator: torch.Generator | None = None,
) -> KAN:
    """Return Wav-KAN: y_o = BatchNorm(sum_i w_oi psi((x_i - t_oi) / s_oi)); every edge has its own t and s.

    The wavelets, the BatchNorm after every layer and the initial weights are those of its authors. Four things differ.
    Their `weight1`, one number per edge without any effect, is left out. The window of "shannon" is a function of its
    argument; in their code it is a function of the number of the input feature. A scale that crosses 0 causes no
    division by 0. Their "meyer" is not available.

    Args:
        layers_hidden: widths [inputs, hidden ..., outputs].
        wavelet_type: "mexican_hat", "morlet", "dog" or "shannon".
        device: where the tensors go.
        dtype: of all tensors.
        generator: draws the weights; default torch's global one.

    Raises:
        TypeError, ValueError: an argument outside its domain.

    Source: Z. Bozorgasl, H. Chen, Wav-KAN (arXiv 2405.12832), github.com/zavareh1/Wav-KAN.
    """
    net = KAN(
        layers_hidden,
        Wavelet(kind=wavelet_type),
        norm=None,
        bias=False,
        after="batchnorm",
        device=device,
        dtype=dtype,
        generator=generator,
    )
    for layer in net.kan_layers():
        like_linear_(layer.weight, None, layer.in_features, generator)
    return net


def FourierKAN(  # noqa: N802
    layers_hidden: Sequence[int],
    gridsize: int = 5,
    addbias: bool = True,
    smooth_initialization: bool = False,
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    generator: torch.Generator | None = None,
) -> KAN:
    """Return FourierKAN: y = b + W (cos kx, sin kx), k = 1 .. gridsize.

    The function and the initial weights are those of its authors. Their code is one layer without a default for
    `gridsize`; the default 5 is ours. One thing differs: there is one matrix product; the original makes a tensor [N,
    O, I, gridsize].

    Args:
        layers_hidden: widths [inputs, hidden ..., outputs].
        gridsize: frequencies; W has twice as many numbers an edge.
        addbias: add b, which starts at 0.
        smooth_initialization: divide the starting weights of frequency k by k^2 and not all by sqrt(gridsize).
        device: where the tensors go.
        dtype: of all tensors.
        generator: draws the weights; default torch's global one.

    Raises:
        TypeError, ValueError: an argument outside its domain.

    Source: github.com/GistNoesis/FourierKAN (2024).
    """
    net = KAN(
        layers_hidden,
        Fourier(num_frequencies=gridsize),
        norm=None,
        bias=addbias,
        device=device,
        dtype=dtype,
        generator=generator,
    )
    for layer in net.kan_layers():
        normal_(layer.weight, 1 / math.sqrt(layer.in_features), generator)
        frequency = torch.arange(1, gridsize + 1, device=layer.weight.device, dtype=layer.weight.dtype)
        each = frequency.square() if smooth_initialization else torch.full_like(frequency, math.sqrt(gridsize))
        with torch.no_grad():
            layer.weight.div_(each.repeat_interleave(2))
    return net
