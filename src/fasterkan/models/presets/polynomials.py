"""KAL-Net and ChebyKAN: polynomials on [-1, 1]."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from ...bases import Chebyshev, Legendre
from ...nn import LayerNorm
from ...nn.base_branch import Base, base_name
from ...nn.draw import normal_
from ..kan import KAN, check_widths
from ._draw import activation, uniform_


def KALNet(  # noqa: N802
    layers_hidden: Sequence[int],
    polynomial_order: int = 3,
    base_activation: Base | type[nn.Module] = "silu",
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    generator: torch.Generator | None = None,
) -> KAN:
    """Return KAL-Net: y = silu(LayerNorm(W P(z) + V silu(x))), P the Legendre polynomials, z = BatchRange(x).

    Warning: z = 2 (x - min) / (max - min) - 1 uses the minimum and maximum of the whole batch, as in its authors' code.
    The output of a row therefore depends on the other rows, also in evaluation (`BatchRange`).

    Everything else is also as in the original, including the LayerNorm and activation of the last layer and the initial
    weights. Three things differ. A batch whose numbers are all equal gives finite outputs (in the original NaN). Any
    leading shape is possible. There is no cache of the polynomials; in the original it keeps the last 128 batches in
    memory.

    Args:
        layers_hidden: widths [inputs, hidden ..., outputs].
        polynomial_order: highest degree; W has polynomial_order + 1 numbers an edge.
        base_activation: of the base branch, and of the layer's output; "silu" or another name.
        device: where the tensors go.
        dtype: of all tensors.
        generator: draws the weights; default torch's global one.

    Raises:
        TypeError, ValueError: an argument outside its domain.

    Source: S. S. Bhattacharjee, TorchKAN (github.com/1ssb/torchkan, KALnet.py, 2024).
    """
    base = base_name(activation(base_activation)) or "identity"
    net = KAN(
        layers_hidden,
        Legendre(degree=polynomial_order, domain=None),
        norm="batch_range",
        base=base,
        bias=False,
        after=f"layernorm_{base}",
        device=device,
        dtype=dtype,
        generator=generator,
    )
    for layer in net.kan_layers():
        uniform_(layer.base_weight, math.sqrt(3 / layer.in_features), generator)
        uniform_(layer.weight, math.sqrt(3 / layer.weight[0].numel()), generator)
    return net


def ChebyKAN(  # noqa: N802
    layers_hidden: Sequence[int],
    degree: int = 4,
    layernorm: bool = True,
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    generator: torch.Generator | None = None,
) -> KAN:
    """Return ChebyKAN: y = W T(tanh(z)), T the Chebyshev polynomials, z = x in the first layer, else LayerNorm(x).

    Everything is as in its authors' model for MNIST, including the initial weights. One thing differs: T is computed by
    its recurrence. The original computes cos(n acos(tanh x)), whose gradient is NaN if tanh rounds to 1 (|x| above 9 in
    float32).

    Args:
        layers_hidden: widths [inputs, hidden ..., outputs].
        degree: highest degree; W has degree + 1 numbers an edge.
        layernorm: LayerNorm between the layers, as in their model for MNIST; their other examples have none.
        device: where the tensors go.
        dtype: of all tensors.
        generator: draws the weights; default torch's global one.

    Raises:
        TypeError, ValueError: an argument outside its domain; LayerNorm of a hidden width of 1.

    Source: github.com/SynodicMonth/ChebyKAN (2024).
    """
    widths = check_widths("ChebyKAN", layers_hidden)
    between = LayerNorm(gain=1.0) if layernorm else None
    net = KAN(
        widths,
        Chebyshev(degree=degree, domain="tanh"),
        norm=[None, *[between] * (len(widths) - 2)],
        bias=False,
        device=device,
        dtype=dtype,
        generator=generator,
    )
    for layer in net.kan_layers():
        normal_(layer.weight, 1 / layer.weight[0].numel(), generator)
    return net
