"""The default of `Basis.refit`: evaluate both bases at the same points, then solve least squares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from .._device import exact_on_cpu
from ._least_squares import keep_functions

_Tensors = Mapping[str, Tensor]


class Family(Protocol):
    """What of a basis least squares needs."""

    @property
    def per_edge(self) -> bool:
        """Whether each edge has functions of its own."""

    def evaluate(self, z: Tensor, params: _Tensors) -> Tensor:
        """Return phi [..., I, K], or [..., O, I, K] with `per_edge`."""

    def sites(self, params: _Tensors) -> Tensor | None:
        """Return where the functions lie, None if they have no order."""


def refit(
    old: Family,
    params: _Tensors,
    weight: Tensor,
    z: Tensor,
    new: Family,
    new_params: _Tensors,
    new_z: Tensor,
    importance: Tensor | None = None,
) -> tuple[Tensor, float]:
    """Return the new weight and the relative RMS error; arguments and errors are those of `Basis.refit`."""
    rows = (torch.isfinite(z) & torch.isfinite(new_z)).all(-1).cpu()
    if not rows.any():
        raise ValueError(f"refit: no finite row among the {len(z)} points at which the functions are compared")
    if not torch.isfinite(weight).all():
        raise ValueError("refit: the weights contain NaN or infinity; go back to weights from before they diverged")
    outputs, features = weight.shape[:2]
    z, new_z = (exact_on_cpu(t.detach())[rows] for t in (z, new_z))
    edges = old.per_edge or new.per_edge  # then each edge is a separate problem: [O * I] instead of [I]

    def table(basis: Family, at: Tensor, tensors: _Tensors) -> Tensor:
        exact = {k: exact_on_cpu(t.detach()) for k, t in tensors.items()}
        phi = basis.evaluate(at, exact)  # [S, I, K] or [S, O, I, K]
        if edges:
            phi = (phi if basis.per_edge else phi.unsqueeze(1)).expand(-1, outputs, -1, -1).flatten(1, 2)
        if not torch.isfinite(phi).all():
            raise ValueError(f"refit: functions of {basis} are not finite at the points at which they are compared")
        return phi.movedim(-2, 0)  # [E, S, K]

    with torch.no_grad():
        old_table, new_table = table(old, z, params), table(new, new_z, new_params)
        sites, height = new.sites(new_params), 0.0
        if sites is not None:
            sites = exact_on_cpu(sites.detach())
            height = float(table(new, sites.expand(features, -1).T, new_params).abs().max())
        if importance is not None:
            importance = exact_on_cpu(importance)[rows].movedim(0, -1)  # [S] or [I, S]
        if not edges:
            return keep_functions(old_table, weight, new_table, importance, sites, height)
        sites, importance = (t if t is None or t.dim() == 1 else t.repeat(outputs, 1) for t in (sites, importance))
        flat = weight.reshape(1, outputs * features, -1)
        found, error = keep_functions(old_table, flat, new_table, importance, sites, height)
        return found.reshape(outputs, features, -1), error
