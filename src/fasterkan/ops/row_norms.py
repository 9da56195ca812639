"""LayerNorm and RMSNorm of rows, correct for derivatives of any order and for numbers up to 1e18 in float32.

torch's `layer_norm` treats mean and deviation as constants in its second backward, so third derivatives are wrong. Its
sums of squares overflow in float32 from about 1e17 on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .situation import PLAIN, Situation, fresh, no_autocast

PRESCALE = 2.0**-24
"""Both norms first scale by this power of two. This is exact, and the sum of squares of 1e18 does not overflow."""


def row_norm(x: Tensor, weight: Tensor, bias: Tensor | None, eps: float, *, center: bool) -> Tensor:
    """Return weight * (x - m) / sqrt(mean((x - m)^2) + eps) + bias over the last dimension.

    Args:
        x: [..., I], float32 or float64.
        weight: [I].
        bias: [I] or None.
        eps: in units of x squared.
        center: True: m is the mean of the row (LayerNorm); False: m is 0 (RMSNorm).
    """
    situation = Situation.of(x, (weight, bias))
    if situation.compiling:
        return _fused(x, weight, bias, eps, center)
    if situation is not PLAIN:
        return _formula(x, weight, bias, eps, center)
    if not (torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (x, weight, bias))):
        with no_autocast(x):
            return _fused(x, weight, bias, eps, center)
    if x.dim() == 2:
        z: Tensor = _RowNorm.apply(x, weight, bias, eps, center)
        return z
    rows = x.reshape(x.shape[:-1].numel(), x.shape[-1])  # [N, I]
    return _RowNorm.apply(rows, weight, bias, eps, center).view(x.shape)


def _fused(x: Tensor, weight: Tensor, bias: Tensor | None, eps: float, center: bool) -> Tensor:
    scaled, shape, eps = x * PRESCALE, (x.shape[-1],), eps * PRESCALE**2
    if center:
        return torch.layer_norm(scaled, shape, weight, bias, eps)
    if torch.compiler.is_exporting():  # the ONNX exporter takes constants below 1e-8, like the scaled eps, for 0
        return x * torch.rsqrt(scaled.square().mean(-1, keepdim=True) * PRESCALE**-2 + eps / PRESCALE**2) * weight
    return F.rms_norm(scaled, shape, weight, eps)


def _formula(x: Tensor, weight: Tensor, bias: Tensor | None, eps: float, center: bool) -> Tensor:
    z = _unit(x, eps, center)[0] * weight
    return z if bias is None else z + bias


def _unit(x: Tensor, eps: float, center: bool) -> tuple[Tensor, Tensor]:
    """(x - m) / d and PRESCALE / d, where d is the deviation of the row."""
    scaled = x * PRESCALE
    if center:
        scaled = scaled - scaled.mean(-1, keepdim=True)
    inverse = torch.rsqrt(scaled.square().mean(-1, keepdim=True) + eps * PRESCALE**2)
    return scaled * inverse, inverse * PRESCALE


class _RowNorm(torch.autograd.Function):
    """The fused kernels in forward and backward; the formula if the gradient is differentiated again."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, eps: float, center: bool) -> Tensor:
        ctx.eps, ctx.center = eps, center
        with no_autocast(x):
            if not center:
                ctx.save_for_backward(x, weight, bias)
                return _fused(x, weight, bias, eps, center)
            shape = [x.shape[-1]]
            z, mean, inverse = torch.native_layer_norm(x * PRESCALE, shape, weight, bias, eps * PRESCALE**2)
        ctx.save_for_backward(x, weight, bias, mean, inverse)
        return z

    @staticmethod
    def backward(ctx: Any, dz: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias, *moments = ctx.saved_tensors
        needs = ctx.needs_input_grad[:3]
        if torch.is_grad_enabled() or Situation.of(dz).transformed:
            return *_formula_grads(x, weight, bias, ctx.eps, ctx.center, dz, needs), None, None
        return *row_norm_gradients(x, weight, bias, ctx.eps, moments if ctx.center else None, dz, needs), None, None


def row_norm_gradients(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    eps: float,
    moments: Sequence[Tensor] | None,
    dz: Tensor,
    needs: Sequence[bool],
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Return the gradients of x, weight and bias, without a graph; None for those that are not needed.

    Args:
        x: [N, I].
        weight: [I].
        bias: [I] or None.
        eps: in units of x squared.
        moments: mean and inverse deviation of the rows of `PRESCALE` x, [N] or [N, 1]; None for RMSNorm.
        dz: gradient of z [N, I].
        needs: which gradients are needed.
    """
    if moments is None:
        return *_rms_grads(x, weight, eps, dz, needs), None
    dx, dweight, dbias = torch.ops.aten.native_layer_norm_backward(
        dz.contiguous(), x * PRESCALE, [x.shape[-1]], *moments, weight, bias, list(needs)
    )
    return dx.mul_(PRESCALE) if needs[0] else None, dweight, dbias


def _formula_grads(
    x: Tensor, weight: Tensor, bias: Tensor | None, eps: float, center: bool, dz: Tensor, needs: tuple[bool, ...]
) -> tuple[Tensor | None, ...]:
    """The gradients of the formula by autograd, with their own graph or batched by a transform."""
    again = torch.is_grad_enabled()
    with torch.enable_grad():
        x, weight = fresh(x, needs[0], graph=again), fresh(weight, needs[1], graph=again)
        bias = None if bias is None else fresh(bias, needs[2], graph=again)
        z = _formula(x, weight, bias, eps, center)
    wanted = [t for t, need in zip((x, weight, bias), needs, strict=True) if need and t is not None]
    grads = iter(torch.autograd.grad(z, wanted, dz, create_graph=again))
    return tuple(next(grads) if need else None for need in needs)


def _rms_grads(
    x: Tensor, weight: Tensor, eps: float, dz: Tensor, needs: Sequence[bool]
) -> tuple[Tensor | None, Tensor | None]:
    unit, inverse = _unit(x, eps, center=False)
    dweight = (dz * unit).sum(0) if needs[1] else None
    if not needs[0]:
        return None, dweight
    dunit = dz * weight
    dx = torch.addcmul(dunit, unit, (dunit * unit).mean(-1, keepdim=True), value=-1)
    return dx.mul_(inverse), dweight
