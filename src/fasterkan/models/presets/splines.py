"""efficient-KAN and pykan: B-splines and a base branch."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from ..._check import real_number
from ...bases import BSpline
from ...nn.base_branch import Base
from ..kan import KAN, check_widths
from ._draw import activation, interpolated_noise, uniform_

PYKAN_BASES: dict[str, Base] = {"silu": "silu", "identity": "identity", "zero": None}
"""The base functions that pykan knows by name."""


def EfficientKAN(  # noqa: N802
    layers_hidden: Sequence[int],
    grid_size: int = 5,
    spline_order: int = 3,
    scale_noise: float = 0.1,
    scale_base: float = 1.0,
    scale_spline: float = 1.0,
    base_activation: Base | type[nn.Module] = "silu",
    grid_eps: float = 0.02,
    grid_range: Sequence[float] = (-1.0, 1.0),
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    generator: torch.Generator | None = None,
) -> KAN:
    """Return efficient-KAN: y = W B(x) + V base(x), B the B-splines of degree `spline_order`, which end at 0.

    The function is that of its authors, and so is the distribution of the initial weights for the default arguments.
    Two things differ. `spline_scaler`, a second factor of every spline weight, is multiplied into W; this gives the
    same functions with one number less per edge. `scale_base` and `scale_spline` are factors of the initial V and W; in
    the original they are the slope of a leaky ReLU, so larger values give smaller weights.

    Args:
        layers_hidden: widths [inputs, hidden ..., outputs].
        grid_size: intervals G.
        spline_order: degree P; W has G + P numbers an edge.
        scale_noise: the functions start as noise of this width, divided by G.
        scale_base: factor of the starting V.
        scale_spline: factor of the starting W.
        base_activation: of the base branch.
        grid_eps: only 0.02 is taken: here it is an argument of `layer.update_grid(x, mix=...)`.
        grid_range: both ends of the grid, in units of the input; beyond it the splines fade to 0.
        device: where the tensors go.
        dtype: of all tensors.
        generator: draws the weights; default torch's global one.

    Raises:
        TypeError, ValueError: an argument outside its domain.

    Source: github.com/Blealtan/efficient-kan (2024).
    """
    if grid_eps != 0.02:
        raise ValueError(
            f"EfficientKAN: grid_eps is {grid_eps!r}; it says how grids follow the data, so give it there: "
            "layer.update_grid(x, mix=...)"
        )
    basis = BSpline(grid_size=grid_size, degree=spline_order, grid_range=_ends("EfficientKAN", grid_range))
    factors = {"scale_noise": scale_noise, "scale_base": scale_base, "scale_spline": scale_spline}
    noise, base_factor, spline_factor = (real_number("EfficientKAN", k, v) for k, v in factors.items())
    net = KAN(
        layers_hidden,
        basis,
        norm=None,
        base=activation(base_activation),
        bias=False,
        device=device,
        dtype=dtype,
        generator=generator,
    )
    for layer in net.kan_layers():
        edges, bound = (layer.out_features, layer.in_features), 1 / math.sqrt(layer.in_features)
        uniform_(layer.base_weight, bound * base_factor, generator)
        scaler = torch.empty(*edges, 1, device=layer.weight.device, dtype=layer.weight.dtype)
        uniform_(scaler, bound * spline_factor, generator)
        start = interpolated_noise(basis, basis.grid_size + 1, edges, noise / basis.grid_size, generator)
        with torch.no_grad():
            layer.weight.copy_(start.to(layer.weight) * scaler)
    return net


def PyKAN(  # noqa: N802
    width: Sequence[int | Sequence[int]],
    grid: int = 3,
    k: int = 3,
    *,
    noise_scale: float = 0.3,
    scale_base_mu: float = 0.0,
    scale_base_sigma: float = 1.0,
    base_fun: str = "silu",
    affine_trainable: bool = False,
    grid_range: Sequence[float] = (-1.0, 1.0),
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    generator: torch.Generator | None = None,
) -> KAN:
    """Return the numerical part of pykan's MultKAN: y = W B(x) + V base(x), one set of knots for each input feature.

    The function, the knots of each feature and the distribution of the initial weights are those of its authors. Two
    things differ. `scale_sp`, a second factor of every spline weight, and the affine numbers of the nodes are
    multiplied into W and V; this gives the same functions with fewer numbers. The global random state does not change
    (the original sets its seed to 1; give a `generator`). Masks, symbolic functions and multiplication nodes are not
    included.

    Args:
        width: widths [inputs, hidden ..., outputs]; each may be written [sums, 0], as pykan does.
        grid: intervals G.
        k: degree P.
        noise_scale: the functions start as noise of this width, divided by G and sqrt(I).
        scale_base_mu: mean of the starting V, divided by sqrt(I).
        scale_base_sigma: it is uniform on the mean +- this, divided by sqrt(I).
        base_fun: "silu", "identity" or "zero" (no base branch).
        affine_trainable: learn a bias; pykan's scales of the nodes would be second factors of W and V.
        grid_range: both ends of the grid, in units of the input.
        device: where the tensors go.
        dtype: of all tensors.
        generator: draws the weights; default torch's global one.

    Raises:
        TypeError, ValueError: an argument outside its domain; multiplication nodes.

    Source: Liu et al., KAN (arXiv 2404.19756), KAN 2.0 (arXiv 2408.10205), github.com/KindXiaoming/pykan 0.2.8.
    """
    if base_fun not in PYKAN_BASES:
        raise ValueError(f"PyKAN: base_fun must be one of {', '.join(map(repr, PYKAN_BASES))}, got {base_fun!r}")
    basis = BSpline(grid_size=grid, degree=k, grid_range=_ends("PyKAN", grid_range), per_feature=True)
    factors = {"noise_scale": noise_scale, "scale_base_mu": scale_base_mu, "scale_base_sigma": scale_base_sigma}
    noise, mean, spread = (real_number("PyKAN", name, value) for name, value in factors.items())
    net = KAN(
        check_widths("PyKAN", _sums(width)),
        basis,
        norm=None,
        base=PYKAN_BASES[base_fun],
        bias=affine_trainable,
        device=device,
        dtype=dtype,
        generator=generator,
    )
    for layer in net.kan_layers():
        edges, scale = (layer.out_features, layer.in_features), 1 / math.sqrt(layer.in_features)
        start = interpolated_noise(basis, basis.grid_size + 1, edges, scale * noise / basis.grid_size, generator)
        with torch.no_grad():
            layer.weight.copy_(start)
            uniform_(layer.base_weight, scale * spread, generator)
            if layer.base_weight is not None:
                layer.base_weight.add_(scale * mean)
    return net


def _ends(owner: str, grid_range: Sequence[float]) -> tuple[float, float]:
    if not isinstance(grid_range, list | tuple) or len(grid_range) != 2:
        raise ValueError(f"{owner}: grid_range must be two numbers (first, last), got {grid_range!r}")
    low, high = grid_range
    return low, high


def _sums(width: Sequence[int | Sequence[int]]) -> object:
    """pykan's `width` without the zeros that stand for "no multiplication nodes"."""
    if not isinstance(width, list | tuple):
        return width
    for n, node in enumerate(width):
        if isinstance(node, list | tuple) and (len(node) != 2 or node[1] != 0):
            raise ValueError(
                f"PyKAN: width[{n}] is {list(node)}: multiplication nodes are not available; use sums alone, [5, 0] say"
            )
    return [node[0] if isinstance(node, list | tuple) else node for node in width]
