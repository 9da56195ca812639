"""The formula y[n, o] = sum_ik W[o, i, k] phi_k(z[n, i]) + b[o] in plain torch, for autograd and compilers."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..bases import Basis, Params
from .situation import no_autocast


def kan_linear_reference(z: Tensor, weight: Tensor, bias: Tensor | None, basis: Basis, params: Params) -> Tensor:
    """Return y [..., O] for z [..., I], weight [O, I, K], bias [O] or None; autocast sets the dtype."""
    with no_autocast(z):
        phi = basis.evaluate(z, params).to(weight.dtype)  # [..., I, K], [..., O, I, K] with tensors for each edge
    if basis.per_edge:
        y = torch.einsum("...oik,oik->...o", phi, weight)
        return y if bias is None else y + bias.to(y.dtype)
    return F.linear(phi.flatten(-2), weight.flatten(1), bias)
