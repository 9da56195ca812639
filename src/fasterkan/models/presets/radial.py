"""FastKAN and RBF-KAN: Gaussian bumps on a uniform grid."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from ..._check import positive_number
from ...bases import Gaussian
from ...nn import LayerNorm
from ...nn.base_branch import Base
from ...nn.draw import normal_
from ..kan import KAN
from ._draw import activation, like_linear_


def FastKAN(  # noqa: N802
    layers_hidden: Sequence[int],
    grid_min: float = -2.0,
    grid_max: float = 2.0,
    num_grids: int = 8,
    use_base_update: bool = True,
    base_activation: Base | type[nn.Module] = "silu",
    spline_weight_init_scale: float = 0.1,
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    generator: torch.Generator | None = None,
) -> KAN:
    """Return FastKAN: y = W phi(LayerNorm(x)) + V base(x) + b with phi_k(z) = exp(-((z - u_k) / d)^2).

    d is the spacing of the centres u_k. Everything is as in the original, including the initial weights (normal with
    `spline_weight_init_scale`; the base branch as `nn.Linear`). One thing differs: the centres, which are fixed, are
    buffers and do not count as parameters.

    Args:
        layers_hidden: widths [inputs, hidden ..., outputs].
        grid_min: first centre, in units of the normalised input.
        grid_max: last centre.
        num_grids: centres K, at least 2.
        use_base_update: add the base branch, and with it the bias.
        base_activation: its activation.
        spline_weight_init_scale: standard deviation of the starting W.
        device: where the tensors go.
        dtype: of all tensors.
        generator: draws the weights; default torch's global one.

    Raises:
        TypeError, ValueError: an argument outside its domain; a layer with one input, which LayerNorm makes 0.

    Source: Z. Li, FastKAN (arXiv 2405.06721), github.com/ZiyaoLi/fast-kan.
    """
    net = KAN(
        layers_hidden,
        Gaussian(num_grids=num_grids, grid_range=(grid_min, grid_max)),
        norm=LayerNorm(gain=1.0),
        base=activation(base_activation) if use_base_update else None,
        bias=use_base_update,
        device=device,
        dtype=dtype,
        generator=generator,
    )
    _start(net, positive_number("FastKAN", "spline_weight_init_scale", spline_weight_init_scale), generator)
    return net


def RBFKAN(  # noqa: N802
    layers_hidden: Sequence[int],
    grid_min: float = -2.0,
    grid_max: float = 2.0,
    num_grids: int = 8,
    use_base_update: bool = True,
    base_activation: Base | type[nn.Module] = "silu",
    spline_weight_init_scale: float = 0.1,
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    generator: torch.Generator | None = None,
) -> KAN:
    """Return RBF-KAN: FastKAN without its LayerNorm, y = W phi(x) + V base(x) + b.

    Everything is as in the original. Inputs must lie in grid_min..grid_max: outside, the bumps are 0, and only the base
    branch is left. Two things differ. Any leading shape is possible. Each layer has its own copy of a base activation
    with parameters; in the original all layers share it.

    Args:
        layers_hidden: widths [inputs, hidden ..., outputs].
        grid_min: first centre, in units of the input.
        grid_max: last centre.
        num_grids: centres K, at least 2.
        use_base_update: add the base branch, and with it the bias.
        base_activation: its activation.
        spline_weight_init_scale: standard deviation of the starting W.
        device: where the tensors go.
        dtype: of all tensors.
        generator: draws the weights; default torch's global one.

    Raises:
        TypeError, ValueError: an argument outside its domain.

    Source: S. Sidharth et al., Fast_RBF_KAN.py of github.com/sidhu2690/RBF-KAN (2024).
    """
    net = KAN(
        layers_hidden,
        Gaussian(num_grids=num_grids, grid_range=(grid_min, grid_max)),
        norm=None,
        base=activation(base_activation) if use_base_update else None,
        bias=use_base_update,
        device=device,
        dtype=dtype,
        generator=generator,
    )
    _start(net, positive_number("RBFKAN", "spline_weight_init_scale", spline_weight_init_scale), generator)
    return net


def _start(net: KAN, scale: float, generator: torch.Generator | None) -> None:
    for layer in net.kan_layers():
        normal_(layer.weight, scale, generator)
        like_linear_(layer.base_weight, layer.bias, layer.in_features, generator)
