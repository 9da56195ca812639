"""Penalties on edge weights (sparsity and smoothness), for your own training loop."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .._check import real_number
from ..bases._grid import second_differences
from .linear import KANLinear


def penalty(
    model: nn.Module, *, l1: float = 0.0, entropy: float = 0.0, group: float = 0.0, smoothness: float = 0.0
) -> Tensor:
    """Return a penalty to add to a loss: l1 * sum_layers |A| + entropy * sum_layers H(A) + two more terms.

    A [O, I] is the mean over k of |W[o, i, k]|. |A| is its sum over the edges. H is the entropy -sum p log p (natural
    logarithm) of p = A / |A|. l1 makes edges small. entropy concentrates the size on few edges.

    group is the group lasso on nodes. It adds group * sum_layers sum_i sqrt(O) |W[:, i]|, where |W[:, i]|^2 is the sum
    over o of mean_k W[o, i, k]^2, plus V[o, i]^2 of a base branch. These are all weights that leave node i (an input of
    the network, or a hidden node). The least important nodes go to 0 as a whole; `fk.prune` then removes them.

    smoothness adds smoothness * sum_layers sum_oi R_oi, with R_oi = (K - 1)^3 sum_k (W[k-1] - 2 W[k] + W[k+1])^2 over
    the weights of an edge. If the functions lie at unequal distances, divided differences are used. For hats and
    B-splines R is L^3 times the integral of f''^2 over the range of length L. It does not depend on the unit of z nor,
    for the same f, on K, and it grows as f^2. For other bumps the same holds up to a constant factor. A straight line
    costs nothing. Useful values are small, 1e-8 to 1e-5. Fine grids need this penalty when there is little data.

    Args:
        model: any module with KANLinear layers.
        l1: coefficient of |A|, not negative.
        entropy: coefficient of H, not negative.
        group: coefficient of the group lasso, not negative.
        smoothness: coefficient of the second differences, not negative.

    Returns:
        A scalar, float32 or more. Gradients are finite everywhere, also if all weights are 0.

    Raises:
        TypeError, ValueError: a coefficient is not a finite number or is negative, the model has no KANLinear, or
            `smoothness` is not 0 and the functions have no order.

    Source: the penalty of Blealtan's efficient-KAN. It replaces the penalty of Liu et al. (arXiv 2404.19756, eq. 2.20),
    which needs a pass over the data. The group lasso on the weights that leave a node is from Scardapane et al. (arXiv
    1607.00485).
    """
    for name, value in (("l1", l1), ("entropy", entropy), ("group", group), ("smoothness", smoothness)):
        if real_number("penalty", name, value) < 0:
            raise ValueError(f"penalty: {name} must not be negative, got {value}")
    layers = [m for m in model.modules() if isinstance(m, KANLinear)]
    if not layers:
        raise ValueError(f"penalty: {type(model).__name__} has no KANLinear layer")
    total = torch.zeros((), device=layers[0].weight.device)
    for layer in layers:
        size = layer.weight.to(torch.promote_types(layer.weight.dtype, torch.float32)).abs().mean(-1)  # [O, I]
        norm = size.sum()
        tiny = torch.finfo(size.dtype).tiny ** 0.5
        share = size / (norm + tiny)
        total = total + l1 * norm - entropy * (share * torch.log(share + tiny)).sum()
        if group:
            total = total + group * _node_sizes(layer).sum() * layer.out_features**0.5
        if smoothness:
            total = total + smoothness * _roughness(layer)
    return total


def _roughness(layer: KANLinear) -> Tensor:
    """The sum of R over the edges of a layer."""
    weight = layer.weight.to(torch.promote_types(layer.weight.dtype, torch.float32))
    sites = layer.basis.sites(layer.basis_tensors(weight.dtype))
    if sites is None:
        raise ValueError(
            f"penalty: smoothness needs functions in an order along z, {type(layer.basis).__name__} has none; use a "
            "basis of local functions such as fk.BSpline or fk.RSWAF, or use l1 with this basis"
        )
    differences = second_differences(sites.detach())  # [K-2, K] or [I, K-2, K]
    bends = torch.einsum("jk,oik->oij" if sites.dim() == 1 else "ijk,oik->oij", differences, weight)
    distance = sites.detach().diff().abs()
    around = (distance[..., 1:] + distance[..., :-1]) / (2 * distance.mean(-1, keepdim=True))  # 1 for equal distances
    return (bends.square() / around.clamp_min(1e-3)).sum() * (weight.shape[-1] - 1) ** 3


def _node_sizes(layer: KANLinear) -> Tensor:
    """|W[:, i]| of each input [I]; if it is 0, the gradient is 0, not NaN."""
    dtype = torch.promote_types(layer.weight.dtype, torch.float32)
    squares = layer.weight.to(dtype).square().mean(-1).sum(0)
    if layer.base_weight is not None:
        squares = squares + layer.base_weight.to(dtype).square().sum(0)
    positive = squares > 0
    return torch.where(positive, squares, torch.ones_like(squares)).sqrt() * positive
