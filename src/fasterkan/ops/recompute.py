"""The lean operation: keeps the input only, rebuilds the basis in row chunks, is right to any order of derivative."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from ..bases import Basis, Params
from .product import rows_gradient, rows_product
from .reference import kan_linear_reference
from .situation import Situation, autocast_dtype, fresh, no_autocast

KEEP_BYTES = 4 << 20
"""A basis [N, I, K] up to this size is kept for the backward, with what its derivative needs: cheap to hold, and it
need not be rebuilt."""

CHUNK_BYTES = {"cpu": 4 << 20, "cuda": 64 << 20}
"""Bytes of one chunk's basis [rows, I, K] by device type, others as "cuda"; `benchmarks/chunk_size.py` measures it."""


def kan_linear_recompute(z: Tensor, weight: Tensor, bias: Tensor | None, basis: Basis, params: Params) -> Tensor:
    """Return what `kan_linear_reference` returns, in O(N I + chunk I K) memory instead of O(N I K).

    Args:
        z: normalised input [..., I], float32 or float64.
        weight: [O, I, K].
        bias: [O] or None.
        basis: the family of functions.
        params: its tensors.
    """
    rows = z.reshape(z.shape[:-1].numel(), z.shape[-1])  # [N, I]
    out: Tensor = _Recompute.apply(basis, tuple(params), rows, weight, bias, *params.values())
    return out.view(*z.shape[:-1], weight.shape[0])


class _Recompute(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        basis: Basis,
        names: tuple[str, ...],
        z: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        *tensors: Tensor,
    ) -> Tensor:
        params = dict(zip(names, tensors, strict=True))
        needs = dict(zip(("z", "weight", "bias", *names), ctx.needs_input_grad[2:], strict=True))
        dtype = operand_dtype(weight)
        ctx.basis, ctx.names, ctx.needs, ctx.dtype = basis, names, needs, dtype
        ctx.bias_dtype = None if bias is None else bias.dtype
        with no_autocast(z):
            w = weight.flatten(1).to(dtype)  # [O, I*K]
            y = torch.empty(z.shape[0], weight.shape[0], dtype=dtype, device=z.device)  # [N, O]
            kept: tuple[Tensor, ...] = ()
            differentiated = needs["z"] or any(needs[k] for k in names)
            for rows in _chunks(z, weight):
                phi, saved = basis.evaluate_for_vjp(z[rows], params)
                y[rows] = rows_product(phi.flatten(1).to(dtype), w)
                if phi.shape[0] == z.shape[0] and phi.numel() * phi.element_size() <= KEEP_BYTES:
                    kept = (phi, *saved) if differentiated else (phi,) if needs["weight"] else ()
            ctx.save_for_backward(z, weight, *tensors, *kept)
            return y if bias is None else y.add_(bias)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        z, weight, *rest = ctx.saved_tensors
        params, needs = dict(zip(ctx.names, rest, strict=False)), ctx.needs
        kept = tuple(rest[len(params) :])
        with no_autocast(z):
            dbias = dy.sum(0, dtype=ctx.bias_dtype) if needs["bias"] else None
            if torch.is_grad_enabled() or Situation.of(dy).transformed:
                grads = formula_grads(linear_formula(ctx.basis), z, weight, params, needs, dy, ctx.dtype)
            else:
                grads = _lean_grads(ctx.basis, z, weight, params, needs, dy, ctx.dtype, kept)
        return None, None, grads.get("z"), grads.get("weight"), dbias, *(grads.get(k) for k in ctx.names)


def _lean_grads(
    basis: Basis,
    z: Tensor,
    weight: Tensor,
    params: Params,
    needs: Mapping[str, bool],
    dy: Tensor,
    dtype: torch.dtype,
    kept: tuple[Tensor, ...],
) -> dict[str, Tensor]:
    """The gradients that are needed, by name, chunk after chunk of rows; their sums are float32 or more."""
    wrt = frozenset(k for k in ("z", *params) if needs[k])
    w = weight.flatten(1).to(dtype)  # [O, I*K]
    dz = torch.empty_like(z) if needs["z"] else None
    dweight: Tensor | None = None
    dparams = {k: torch.zeros_like(params[k], dtype=z.dtype) for k in params if needs[k]}
    for rows in _chunks(z, weight):
        phi, saved = (kept[0], kept[1:]) if kept else basis.evaluate_for_vjp(z[rows], params)  # phi [n, I, K]
        if needs["weight"]:
            dweight = _add_product(dweight, dy[rows].t(), phi.flatten(1).to(dtype), z.dtype)
        if wrt:
            dphi = rows_gradient(dy[rows], w).to(z.dtype).view_as(phi)
            dz_rows, found = basis.vjp(z[rows], params, phi, saved, dphi, wrt)
            if dz is not None and dz_rows is not None:
                dz[rows] = dz_rows
            for name, value in found.items():
                dparams[name] += value
    grads = {k: g.to(params[k].dtype) for k, g in dparams.items()}
    if dz is not None:
        grads["z"] = dz
    if needs["weight"]:
        grads["weight"] = torch.zeros_like(weight) if dweight is None else dweight.view_as(weight).to(weight.dtype)
    return grads


def _add_product(total: Tensor | None, a: Tensor, b: Tensor, dtype: torch.dtype) -> Tensor:
    """total + a @ b, in place from the second call on; `dtype` is that of the total, at least float32."""
    if total is None:
        return (a @ b).to(dtype)
    if total.dtype == a.dtype:
        return total.addmm_(a, b)
    return total.add_(a @ b)


def linear_formula(basis: Basis) -> Callable[[Tensor, Tensor, Params], Tensor]:
    """Return the equation of a layer without bias, of (z, weight, params)."""
    return lambda z, weight, params: kan_linear_reference(z, weight, None, basis, params)


def formula_grads(
    formula: Callable[[Tensor, Tensor, Params], Tensor],
    z: Tensor,
    weight: Tensor,
    params: Params,
    needs: Mapping[str, bool],
    dy: Tensor,
    dtype: torch.dtype,
) -> dict[str, Tensor]:
    """The gradients of `formula(z, weight, params)` by autograd: with a graph, or batched by a transform."""
    wanted = [k for k in ("z", "weight", *params) if needs[k]]
    if not wanted:
        return {}
    again = torch.is_grad_enabled()
    with torch.enable_grad():
        # Aliases: a weight that z was made of must not collect the gradient that goes through z.
        inputs = {k: fresh(t, needs[k], graph=again) for k, t in {"z": z, "weight": weight, **params}.items()}
        with torch.autocast(z.device.type, dtype) if dtype != weight.dtype else nullcontext():
            y = formula(inputs["z"], inputs["weight"], {k: inputs[k] for k in params})
    grads = torch.autograd.grad(y, [inputs[k] for k in wanted], dy, create_graph=again, materialize_grads=True)
    return dict(zip(wanted, grads, strict=True))


def operand_dtype(weight: Tensor) -> torch.dtype:
    """The dtype of the matrix product: autocast's where it is on (float64 is left alone, as autocast does)."""
    dtype = autocast_dtype(weight)
    return weight.dtype if dtype is None or weight.dtype == torch.float64 else dtype


def _chunks(z: Tensor, weight: Tensor) -> Iterator[slice]:
    """The rows of z in slices whose basis has at most `CHUNK_BYTES`."""
    budget = CHUNK_BYTES.get(z.device.type, CHUNK_BYTES["cuda"])
    step = max(1, budget // max(1, weight[0].numel() * z.element_size()))
    return (slice(start, start + step) for start in range(0, z.shape[0], step))
