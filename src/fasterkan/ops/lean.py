"""The common part of the lean operations: autograd that keeps the input instead of the basis, right to any order."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any, Protocol

import torch
from torch import Tensor

from ..bases import Params
from .situation import Situation, autocast_dtype, fresh, no_autocast

Needs = Mapping[str, bool]
"""Which gradients are needed: of "z", "weight", "bias" and each tensor of the basis."""


class LeanOperation(Protocol):
    """A way to compute y [N, O, ...] and its gradients from z, weight and tensors, without keeping the basis."""

    def formula(self, z: Tensor, weight: Tensor, params: Params) -> Tensor:
        """Return y without a bias in plain torch; this is differentiated if a graph is requested."""

    def forward(
        self, z: Tensor, weight: Tensor, bias: Tensor | None, params: Params, dtype: torch.dtype, needs: Needs
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return y in `dtype`, and tensors that `gradients` can use again; called without a graph.

        `needs` is empty if no gradient will be requested.
        """

    def gradients(
        self,
        z: Tensor,
        weight: Tensor,
        params: Params,
        kept: tuple[Tensor, ...],
        dy: Tensor,
        dtype: torch.dtype,
        needs: Needs,
    ) -> dict[str, Tensor]:
        """Return the needed gradients by name, except that of the bias; called without a graph."""


def lean(operation: LeanOperation, z: Tensor, weight: Tensor, bias: Tensor | None, params: Params) -> Tensor:
    """Return y of an operation, differentiable; without a gradient to compute, autograd is not used."""
    tensors = (z, weight, bias, *params.values())
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors):
        y: Tensor = _Lean.apply(operation, tuple(params), *tensors)
        return y
    dtype = operand_dtype(weight)
    with no_autocast(z):
        return operation.forward(z, weight, bias, params, dtype, {})[0]


def operand_dtype(weight: Tensor) -> torch.dtype:
    """The dtype of the matrix product: that of autocast if it is on (float64 stays float64, as with autocast)."""
    dtype = autocast_dtype(weight)
    return weight.dtype if dtype is None or weight.dtype == torch.float64 else dtype


class _Lean(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        operation: LeanOperation,
        names: tuple[str, ...],
        z: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        *tensors: Tensor,
    ) -> Tensor:
        params = dict(zip(names, tensors, strict=True))
        needs = dict(zip(("z", "weight", "bias", *names), ctx.needs_input_grad[2:], strict=True))
        ctx.operation, ctx.names, ctx.needs, ctx.dtype = operation, names, needs, operand_dtype(weight)
        ctx.bias_dtype = None if bias is None else bias.dtype
        with no_autocast(z):
            y, kept = operation.forward(z, weight, bias, params, ctx.dtype, needs)
        ctx.save_for_backward(z, weight, *tensors, *kept)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        z, weight, *rest = ctx.saved_tensors
        operation: LeanOperation = ctx.operation
        params, kept = dict(zip(ctx.names, rest, strict=False)), tuple(rest[len(ctx.names) :])
        with no_autocast(z):
            dbias = dy.sum((0, *range(2, dy.dim())), dtype=ctx.bias_dtype) if ctx.needs["bias"] else None
            if torch.is_grad_enabled() or Situation.of(dy).transformed:
                grads = _formula_gradients(operation, z, weight, params, dy, ctx.dtype, ctx.needs)
            else:
                grads = operation.gradients(z, weight, params, kept, dy, ctx.dtype, ctx.needs)
        return None, None, grads.get("z"), grads.get("weight"), dbias, *(grads.get(k) for k in ctx.names)


def _formula_gradients(
    operation: LeanOperation, z: Tensor, weight: Tensor, params: Params, dy: Tensor, dtype: torch.dtype, needs: Needs
) -> dict[str, Tensor]:
    """The gradients of the formula by autograd, with a graph or batched by a transform."""
    wanted = [k for k in ("z", "weight", *params) if needs[k]]
    if not wanted:
        return {}
    again = torch.is_grad_enabled()
    with torch.enable_grad():
        # Aliases: if z was computed from the weight, the weight must not collect the gradient through z.
        inputs = {k: fresh(t, needs[k], graph=again) for k, t in {"z": z, "weight": weight, **params}.items()}
        with torch.autocast(z.device.type, dtype) if dtype != weight.dtype else nullcontext():
            y = operation.formula(inputs["z"], inputs["weight"], {k: inputs[k] for k in params})
    grads = torch.autograd.grad(y, [inputs[k] for k in wanted], dy, create_graph=again, materialize_grads=True)
    return dict(zip(wanted, grads, strict=True))
