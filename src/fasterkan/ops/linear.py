"""The operation of a linear layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from torch import Tensor, nn

from ..bases import Basis, Params
from .call import LinearCall
from .dispatch import choose
from .paths import LINEAR_PATHS
from .situation import Situation


def kan_linear(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    basis: Basis,
    params: Params,
    *,
    norm: Callable[[Tensor], Tensor] | None = None,
    path: str = "auto",
) -> Tensor:
    """Return y[..., o] = sum_ik weight[o, i, k] phi_k(norm(x)[..., i]) + bias[o]; with `basis.per_edge`, phi_oik.

    Args:
        x: [..., I], any leading shape.
        weight: [O, I, K].
        bias: [O] or None.
        basis: the family of functions phi_k.
        params: the basis' tensors by name, with the shapes from `basis.init`.
        norm: computes z [..., I] from x; with None, z is x.
        path: "auto", or the name of a path; a path that cannot compute the call raises an error.

    Returns:
        y [..., O] in the dtype of weight, or of autocast.

    Raises:
        ValueError, RuntimeError: as in `choose`; the norm changes the shape.
    """
    call = linear_call(x, weight, bias, basis, params, norm)
    return choose(LINEAR_PATHS, path, call)[0].run(call)


def linear_call(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    basis: Basis,
    params: Params,
    norm: Callable[[Tensor], Tensor] | None = None,
) -> LinearCall:
    """Return the call of `kan_linear`, with the situation in which it is made."""
    situation = Situation.of(x, differentiable(weight, bias, params, norm))
    return LinearCall(x, norm, weight, bias, basis, params, situation)


def differentiable(
    weight: Tensor, bias: Tensor | None, params: Params, norm: Callable[[Tensor], Tensor] | None
) -> Iterator[Tensor | None]:
    """Yield all tensors of a call except x."""
    yield from (weight, bias, *params.values())
    if isinstance(norm, nn.Module):
        yield from norm.parameters()
