"""ReLU-KAN: bumps made of squared ReLUs."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ...bases import ReLUBump
from ..kan import KAN
from ._draw import like_linear_


def ReLUKAN(  # noqa: N802
    width: Sequence[int],
    grid: int = 5,
    k: int = 3,
    *,
    train_ab: bool = True,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    generator: torch.Generator | None = None,
) -> KAN:
    """Return ReLU-KAN: y = W R(x) + b with R_i(x) = (relu(e_i - x) relu(x - s_i))^2 16 / (e_i - s_i)^4.

    As in its authors' code, there are grid + k bumps on [0, 1] and beyond, and s and e are learned for each input
    feature. The initial weights are also theirs. (5 and 3 come from their examples; their code has no defaults.) Two
    things differ. Inputs and outputs are [..., I] and [..., O]; the original needs a last dimension of 1, and flattens
    the numbers of a row in another order than it states. A learned bump keeps its height of 1; in the original
    it keeps its initial factor.

    Args:
        width: widths [inputs, hidden ..., outputs].
        grid: g, intervals of [0, 1].
        k: how many intervals a bump reaches beyond its own.
        train_ab: learn s and e.
        device: where the tensors go.
        dtype: of all tensors.
        generator: draws the weights; default torch's global one.

    Raises:
        TypeError, ValueError: an argument outside its domain.

    Source: Q. Qiu et al., ReLU-KAN (arXiv 2406.02075), github.com/quiqi/relu_kan.
    """
    net = KAN(
        width,
        ReLUBump(grid_size=grid, width=k, train=train_ab),
        norm=None,
        device=device,
        dtype=dtype,
        generator=generator,
    )
    for layer in net.kan_layers():
        like_linear_(layer.weight, layer.bias, layer.weight[0].numel(), generator)
    return net
