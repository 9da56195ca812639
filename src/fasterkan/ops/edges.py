"""The lean operation for bases with tensors for each edge: [N, O, I, K] is made and forgotten tile by tile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from ..bases import Basis, Params
from .recompute import formula_grads, linear_formula, operand_dtype
from .situation import Situation, no_autocast

CHUNK_BYTES = {"cpu": 2 << 20, "cuda": 64 << 20}
"""Bytes of one tile's basis [rows, outputs, I, K] by device type, others as "cuda"; a derivative needs some of its
kind at once."""


def kan_linear_edges(z: Tensor, weight: Tensor, bias: Tensor | None, basis: Basis, params: Params) -> Tensor:
    """Return what `kan_linear_reference` returns, in O(N I + O I K + tile) memory instead of O(N O I K).

    The sums are those of many small vectors, not of a matrix product: they are done in z's dtype, and under autocast
    only the result is rounded to its dtype.

    Args:
        z: normalised input [..., I], float32 or float64.
        weight: [O, I, K].
        bias: [O] or None.
        basis: the family of functions, with `per_edge` True.
        params: its tensors, each [O, I, ...].
    """
    rows = z.reshape(z.shape[:-1].numel(), z.shape[-1])  # [N, I]
    out: Tensor = _Edges.apply(basis, tuple(params), rows, weight, bias, *params.values())
    return out.view(*z.shape[:-1], weight.shape[0])


class _Edges(torch.autograd.Function):
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
        ctx.basis, ctx.names, ctx.dtype = basis, names, operand_dtype(weight)
        ctx.needs = dict(zip(("z", "weight", "bias", *names), ctx.needs_input_grad[2:], strict=True))
        ctx.bias_dtype = None if bias is None else bias.dtype
        ctx.save_for_backward(z, weight, *tensors)
        with no_autocast(z):
            w = _summed_in(z, weight)
            y = torch.empty(z.shape[0], weight.shape[0], dtype=ctx.dtype, device=z.device)  # [N, O]
            for rows, outs in _tiles(z, weight):
                phi, _ = basis.evaluate_for_vjp(z[rows], {k: t[outs] for k, t in params.items()})
                y[rows, outs] = torch.einsum("noik,oik->no", phi.to(w.dtype), w[outs])
            return y if bias is None else y.add_(bias)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        z, weight, *tensors = ctx.saved_tensors
        params, needs = dict(zip(ctx.names, tensors, strict=True)), ctx.needs
        with no_autocast(z):
            dbias = dy.sum(0, dtype=ctx.bias_dtype) if needs["bias"] else None
            if torch.is_grad_enabled() or Situation.of(dy).transformed:
                grads = formula_grads(linear_formula(ctx.basis), z, weight, params, needs, dy, ctx.dtype)
            else:
                grads = _lean_grads(ctx.basis, z, weight, params, needs, dy)
        return None, None, grads.get("z"), grads.get("weight"), dbias, *(grads.get(k) for k in ctx.names)


def _lean_grads(
    basis: Basis, z: Tensor, weight: Tensor, params: Params, needs: Mapping[str, bool], dy: Tensor
) -> dict[str, Tensor]:
    """The gradients that are needed, by name, tile after tile; summed in z's dtype or weight's, the finer one."""
    wrt = frozenset(k for k in ("z", *params) if needs[k])
    w = _summed_in(z, weight)
    leaves = {"z": z, "weight": weight, **params}
    totals = {k: torch.zeros_like(t, dtype=w.dtype) for k, t in leaves.items() if needs[k]}
    for rows, outs in _tiles(z, weight):
        phi, saved = basis.evaluate_for_vjp(z[rows], {k: t[outs] for k, t in params.items()})  # phi [n, o, I, K]
        dy_tile = dy[rows, outs].to(w.dtype)  # [n, o]
        if needs["weight"]:
            totals["weight"][outs] += torch.einsum("no,noik->oik", dy_tile, phi.to(w.dtype))
        if wrt:
            dphi = (dy_tile[..., None, None] * w[outs]).to(z.dtype)  # [n, o, I, K]
            dz, found = basis.vjp(z[rows], {k: t[outs] for k, t in params.items()}, phi, saved, dphi, wrt)
            if dz is not None:
                totals["z"][rows] += dz
            for name, value in found.items():
                totals[name][outs] += value
    return {k: total.to(leaves[k].dtype) for k, total in totals.items()}


def _summed_in(z: Tensor, weight: Tensor) -> Tensor:
    """The weight in the dtype in which its products are summed."""
    return weight.to(torch.promote_types(z.dtype, weight.dtype))


def _tiles(z: Tensor, weight: Tensor) -> Iterator[tuple[slice, slice]]:
    """(rows, outputs) in slices whose basis has at most `CHUNK_BYTES`; all rows at once where that is possible."""
    budget = CHUNK_BYTES.get(z.device.type, CHUNK_BYTES["cuda"]) // max(1, weight[0].numel() * z.element_size())
    rows = max(1, min(budget, z.shape[0]))
    outs = max(1, budget // rows)
    for first in range(0, weight.shape[0], outs):
        for row in range(0, z.shape[0], rows):
            yield slice(row, row + rows), slice(first, first + outs)
