"""The one operation of a linear layer."""

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
    """Return y[..., o] = sum_ik weight[o, i, k] phi_k(norm(x)[..., i]) + bias[o], phi_oik where `basis.per_edge`.

    Args:
        x: [..., I], any leading shape.
        weight: [O, I, K].
        bias: [O] or None.
        basis: the family of functions phi_k.
        params: its tensors by name, as `basis.init` makes them.
        norm: makes z [..., I] of x; None: x is z.
        path: "auto", or one path by name; an impossible one raises.

    Returns:
        y [..., O] in weight's dtype, or autocast's.

    Raises:
        ValueError, RuntimeError: as `choose`; the norm does not keep the shape.
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
    """Return the call of `kan_linear`, with who is looking at it."""
    situation = Situation.of(x, differentiable(weight, bias, params, norm))
    return LinearCall(x, norm, weight, bias, basis, params, situation)


def differentiable(
    weight: Tensor, bias: Tensor | None, params: Params, norm: Callable[[Tensor], Tensor] | None
) -> Iterator[Tensor | None]:
    """Yield all tensors of a call but x."""
    yield from (weight, bias, *params.values())
    if isinstance(norm, nn.Module):
        yield from norm.parameters()
