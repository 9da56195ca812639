"""The lean operation for bases with tensors for each edge: [N, O, I, K] exists for one tile at a time."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import torch
from torch import Tensor

from ..bases import Basis, Params
from .lean import Needs, lean
from .reference import kan_linear_reference

CHUNK_BYTES = {"cpu": 2 << 20, "cuda": 64 << 20}
"""Bytes of one tile's basis [rows, outputs, I, K], by device type (others as "cuda"); a derivative needs several
tensors of this size at once."""


def kan_linear_edges(z: Tensor, weight: Tensor, bias: Tensor | None, basis: Basis, params: Params) -> Tensor:
    """Return the result of `kan_linear_reference`, in O(N I + O I K + tile) memory instead of O(N O I K).

    The sums are over many small vectors; they are not a matrix product. They are computed in z's dtype. Under autocast
    only the result is rounded to the dtype of autocast.

    Args:
        z: normalised input [..., I], float32 or float64.
        weight: [O, I, K].
        bias: [O] or None.
        basis: the family of functions, with `per_edge` True.
        params: the basis' tensors, each [O, I, ...].
    """
    rows = z.reshape(z.shape[:-1].numel(), z.shape[-1])  # [N, I]
    return lean(_EdgeTiles(basis), rows, weight, bias, params).view(*z.shape[:-1], weight.shape[0])


@dataclasses.dataclass(frozen=True)
class _EdgeTiles:
    """A `LeanOperation` on rows z [N, I]; the basis [N, O, I, K] exists for one tile of rows and outputs at a time."""

    basis: Basis

    def formula(self, z: Tensor, weight: Tensor, params: Params) -> Tensor:
        return kan_linear_reference(z, weight, None, self.basis, params)

    def forward(
        self, z: Tensor, weight: Tensor, bias: Tensor | None, params: Params, dtype: torch.dtype, needs: Needs
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        w = _summed_in(z, weight)
        y = torch.empty(z.shape[0], weight.shape[0], dtype=dtype, device=z.device)  # [N, O]
        for rows, outs in _tiles(z, weight):
            phi, _ = self.basis.evaluate_for_vjp(z[rows], {k: t[outs] for k, t in params.items()})
            y[rows, outs] = torch.einsum("noik,oik->no", phi.to(w.dtype), w[outs])
        return y if bias is None else y.add_(bias), ()

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
        """They are summed in the dtype of z or of weight, whichever has more bits."""
        wrt = frozenset(k for k in ("z", *params) if needs[k])
        w = _summed_in(z, weight)
        leaves = {"z": z, "weight": weight, **params}
        totals = {k: torch.zeros_like(t, dtype=w.dtype) for k, t in leaves.items() if needs[k]}
        for rows, outs in _tiles(z, weight):
            tensors = {k: t[outs] for k, t in params.items()}
            phi, saved = self.basis.evaluate_for_vjp(z[rows], tensors)  # phi [n, o, I, K]
            dy_tile = dy[rows, outs].to(w.dtype)  # [n, o]
            if needs["weight"]:
                # sum() adds in a tree. The order of a BLAS, and with it the error, depends on the processor.
                totals["weight"][outs] += (dy_tile[..., None, None] * phi.to(w.dtype)).sum(0)
            if wrt:
                dphi = (dy_tile[..., None, None] * w[outs]).to(z.dtype)  # [n, o, I, K]
                dz, found = self.basis.vjp(z[rows], tensors, phi, saved, dphi, wrt)
                if dz is not None:
                    totals["z"][rows] += dz
                for name, value in found.items():
                    totals[name][outs] += value
        return {k: total.to(leaves[k].dtype) for k, total in totals.items()}


def _summed_in(z: Tensor, weight: Tensor) -> Tensor:
    """The weight in the dtype in which its products are summed."""
    return weight.to(torch.promote_types(z.dtype, weight.dtype))


def _tiles(z: Tensor, weight: Tensor) -> Iterator[tuple[slice, slice]]:
    """Slices (rows, outputs) whose basis has at most `CHUNK_BYTES`; all rows at once if possible."""
    budget = CHUNK_BYTES.get(z.device.type, CHUNK_BYTES["cuda"]) // max(1, weight[0].numel() * z.element_size())
    rows = max(1, min(budget, z.shape[0]))
    outs = max(1, budget // rows)
    for first in range(0, weight.shape[0], outs):
        for row in range(0, z.shape[0], rows):
            yield slice(row, row + rows), slice(first, first + outs)
