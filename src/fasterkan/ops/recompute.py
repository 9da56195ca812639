"""The lean operation: keeps the input only, rebuilds the basis in row chunks, is right to any order of derivative."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from ..bases import Basis, Params, Pullback
from .reference import kan_linear_reference
from .situation import autocast_dtype, no_autocast

Part = tuple[slice, Tensor, Pullback]

KEEP_BYTES = 4 << 20
"""A basis [N, I, K] up to this size is kept for the backward: rebuilding it would cost more than it saves."""

CHUNK_BYTES = {"cpu": 16 << 20, "cuda": 64 << 20}
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
        dtype = _operand_dtype(weight)
        ctx.basis, ctx.names, ctx.needs, ctx.dtype = basis, names, needs, dtype
        ctx.wrt = frozenset(k for k in ("z", *names) if needs[k])
        ctx.bias_dtype = None if bias is None else bias.dtype
        ctx.save_for_backward(z, weight, *tensors)
        keep = any(needs.values()) and z.numel() * basis.num_basis * z.element_size() <= KEEP_BYTES
        with no_autocast(z):
            w = weight.flatten(1).to(dtype).t()  # [I*K, O]
            y = torch.empty(z.shape[0], weight.shape[0], dtype=dtype, device=z.device)  # [N, O]
            parts = _linearise(basis, z, params, weight, ctx.wrt if keep else frozenset())
            ctx.kept = list(parts) if keep else None
            for rows, phi, _ in ctx.kept or parts:
                torch.mm(phi.flatten(1).to(dtype), w, out=y[rows])
            return y if bias is None else y.add_(bias)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        z, weight, *tensors = ctx.saved_tensors
        params = dict(zip(ctx.names, tensors, strict=True))
        with no_autocast(z):
            dbias = dy.sum(0, dtype=ctx.bias_dtype) if ctx.needs["bias"] else None
            if torch.is_grad_enabled():  # create_graph: the gradient itself will be differentiated
                grads = _differentiable_grads(ctx.basis, z, weight, params, ctx.needs, dy, ctx.dtype)
            else:
                kept, ctx.kept = ctx.kept, None  # a pullback serves once; a second backward builds its own
                parts = kept or _linearise(ctx.basis, z, params, weight, ctx.wrt)
                grads = _lean_grads(parts, z, weight, params, ctx.needs, dy, ctx.dtype)
        return None, None, grads.get("z"), grads.get("weight"), dbias, *(grads.get(k) for k in ctx.names)


def _linearise(basis: Basis, z: Tensor, params: Params, weight: Tensor, wrt: frozenset[str]) -> Iterator[Part]:
    """The rows in chunks, with their basis [n, I, K] and its pullback."""
    step = _rows_per_chunk(z, weight)
    for start in range(0, z.shape[0], step):
        rows = slice(start, start + step)
        yield rows, *basis.vjp(z[rows], params, wrt)


def _lean_grads(
    parts: Iterable[Part],
    z: Tensor,
    weight: Tensor,
    params: Params,
    needs: Mapping[str, bool],
    dy: Tensor,
    dtype: torch.dtype,
) -> dict[str, Tensor]:
    """The gradients that are needed, by name, chunk after chunk of rows; their sums are float32 or more."""
    w = weight.flatten(1).to(dtype)  # [O, I*K]
    dz = torch.empty_like(z) if needs["z"] else None
    dweight: Tensor | None = None
    dparams = {k: torch.zeros_like(params[k], dtype=z.dtype) for k in params if needs[k]}
    for rows, phi, pullback in parts:
        if needs["weight"]:
            dweight = _add_product(dweight, dy[rows].t(), phi.flatten(1).to(dtype), z.dtype)
        if dz is not None or dparams:
            dz_rows, found = pullback((dy[rows] @ w).to(z.dtype).view_as(phi))
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


def _differentiable_grads(
    basis: Basis, z: Tensor, weight: Tensor, params: Params, needs: Mapping[str, bool], dy: Tensor, dtype: torch.dtype
) -> dict[str, Tensor]:
    """The same gradients with a graph of their own, by differentiating the reference formula."""
    inputs = {"z": z, "weight": weight, **params}
    wanted = [k for k in inputs if needs[k]]
    if not wanted:
        return {}
    with torch.autocast(z.device.type, dtype, enabled=dtype != weight.dtype):
        y = kan_linear_reference(z, weight, None, basis, params)
    grads = torch.autograd.grad(y, [inputs[k] for k in wanted], dy, create_graph=True, materialize_grads=True)
    return dict(zip(wanted, grads, strict=True))


def _operand_dtype(weight: Tensor) -> torch.dtype:
    """The dtype of the matrix product: autocast's where it is on (float64 is left alone, as autocast does)."""
    dtype = autocast_dtype(weight)
    return weight.dtype if dtype is None or weight.dtype == torch.float64 else dtype


def _rows_per_chunk(z: Tensor, weight: Tensor) -> int:
    budget = CHUNK_BYTES.get(z.device.type, CHUNK_BYTES["cuda"])
    return max(1, budget // max(1, weight[0].numel() * z.element_size()))
