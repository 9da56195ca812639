"""The lean operation of a layer: it keeps only the input, and computes the basis again in chunks of rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import torch
from torch import Tensor

from ..bases import Basis, Params
from .lean import Needs, lean
from .product import rows_gradient, rows_product
from .reference import kan_linear_reference

KEEP_BYTES = 4 << 20
"""A basis [N, I, K] up to this size is kept for the backward, with the tensors that its derivative needs: it takes
little memory, and is not computed twice."""

CHUNK_BYTES = {"cpu": 4 << 20, "cuda": 64 << 20}
"""Bytes of one chunk's basis [rows, I, K] by device type (others as "cuda"), from `benchmarks/chunk_size.py`."""


def kan_linear_recompute(z: Tensor, weight: Tensor, bias: Tensor | None, basis: Basis, params: Params) -> Tensor:
    """Return the result of `kan_linear_reference`, in O(N I + chunk I K) memory instead of O(N I K).

    Args:
        z: normalised input [..., I], float32 or float64.
        weight: [O, I, K].
        bias: [O] or None.
        basis: the family of functions.
        params: the basis' tensors.
    """
    if z.dim() == 2:
        return lean(_RowChunks(basis), z, weight, bias, params)
    rows = z.reshape(z.shape[:-1].numel(), z.shape[-1])  # [N, I]
    return lean(_RowChunks(basis), rows, weight, bias, params).view(*z.shape[:-1], weight.shape[0])


@dataclasses.dataclass(frozen=True)
class _RowChunks:
    """A `LeanOperation` on rows z [N, I]; the basis [N, I, K] exists for one chunk of rows at a time."""

    basis: Basis

    def formula(self, z: Tensor, weight: Tensor, params: Params) -> Tensor:
        return kan_linear_reference(z, weight, None, self.basis, params)

    def forward(
        self, z: Tensor, weight: Tensor, bias: Tensor | None, params: Params, dtype: torch.dtype, needs: Needs
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        w = weight.flatten(1)  # [O, I*K]
        w = w if w.dtype == dtype else w.to(dtype)
        step = _rows_at_once(z, weight)
        if step >= z.shape[0]:
            phi, saved = self.basis.evaluate_for_vjp(z, params)
            panel = phi.flatten(1)
            y = rows_product(panel if panel.dtype == dtype else panel.to(dtype), w, bias)
            kept = self._kept(phi, saved, params, needs) if needs else ()
        else:
            kept, y = (), torch.empty(z.shape[0], weight.shape[0], dtype=dtype, device=z.device)  # [N, O]
            for rows in _slices(z, step):
                phi, _ = self.basis.evaluate_for_vjp(z[rows], params)
                y[rows] = rows_product(phi.flatten(1).to(dtype), w, bias)
        return y, kept

    def _kept(self, phi: Tensor, saved: tuple[Tensor, ...], params: Params, needs: Needs) -> tuple[Tensor, ...]:
        """The tensors of a small basis that are kept for the needed gradients."""
        if phi.numel() * phi.element_size() > KEEP_BYTES:
            return ()
        if needs["z"] or any(needs[k] for k in params):
            return (phi, *saved)
        return (phi,) if needs["weight"] else ()

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
        """Sums over chunks of rows are computed in float32 or more."""
        wrt = frozenset(k for k in ("z", *params) if needs[k])
        w = weight.flatten(1).to(dtype)  # [O, I*K]
        dz = torch.empty_like(z) if needs["z"] else None
        dweight: Tensor | None = None
        dparams = {k: torch.zeros_like(params[k], dtype=z.dtype) for k in params if needs[k]}
        for rows in _slices(z, _rows_at_once(z, weight)):
            phi, saved = (kept[0], kept[1:]) if kept else self.basis.evaluate_for_vjp(z[rows], params)  # phi [n, I, K]
            if needs["weight"]:
                dweight = _add_product(dweight, dy[rows].t(), phi.flatten(1).to(dtype), z.dtype)
            if wrt:
                dphi = rows_gradient(dy[rows], w).to(z.dtype).view_as(phi)
                dz_rows, found = self.basis.vjp(z[rows], params, phi, saved, dphi, wrt)
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
    """total + a @ b, in place after the first call; `dtype` is the dtype of the total, at least float32.

    torch's FlopCounterMode knows `addmm`, also with `out`, but not `addmm_`.
    """
    if total is None:
        return (a @ b).to(dtype)
    if total.dtype == a.dtype:
        return torch.addmm(total, a, b, out=total)
    return total.add_(a @ b)


def _rows_at_once(z: Tensor, weight: Tensor) -> int:
    """The number of rows whose basis has at most `CHUNK_BYTES`; at least 1."""
    budget = CHUNK_BYTES.get(z.device.type, CHUNK_BYTES["cuda"])
    return max(1, budget // max(1, weight.shape[1] * weight.shape[2] * z.element_size()))


def _slices(z: Tensor, step: int) -> Iterator[slice]:
    """The rows of z in slices of `step` rows."""
    return (slice(start, start + step) for start in range(0, z.shape[0], step))
