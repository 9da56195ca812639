"""From coarse to fine: the grids of a fit, and functions that make a network coarser or finer."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import nn

from .._check import whole_number
from ..bases import Basis
from ..nn import KANLinear
from .frozen import is_free

COARSEST = 3
"""The smallest count that "auto" may use."""

Grids = Literal["auto"] | Sequence[int] | None


def kan_layers(net: nn.Module) -> list[KANLinear]:
    """Return the network's KANLinear layers in the order of `modules()`."""
    return [m for m in net.modules() if isinstance(m, KANLinear)]


def free_layers(net: nn.Module) -> list[KANLinear]:
    """Return the layers that may get another grid: no parameter of their edges' functions is frozen."""
    return [layer for layer in kan_layers(net) if is_free(layer)]


def count_field(basis: Basis) -> str | None:
    """Return the field that counts a family's functions, such as "grid_size"; None if it has no such field."""
    fields = {f.name for f in dataclasses.fields(basis)}
    own_points = getattr(basis, "grid", None) is not None or getattr(basis, "knots", None) is not None
    names = ("grid_size", "num_grids", "num_frequencies", "degree")
    return None if own_points else next((name for name in names if name in fields), None)


def count_of(net: nn.Module) -> int | None:
    """Return the count that all layers (except frozen ones) share; None if there is no such count."""
    found = set()
    for layer in free_layers(net):
        field = count_field(layer.basis)
        found.add(None if field is None else getattr(layer.basis, field))
    return found.pop() if len(found) == 1 else None


def resolve_grids(net: nn.Module, grids: Grids) -> tuple[int | None, ...]:
    """Return the counts of the grids, from coarse to fine; (None,) stands for the present grid.

    "auto" halves the network's own count as long as it is at least `COARSEST`: 20 gives 5, 10, 20.

    Raises:
        TypeError, ValueError: the counts are not whole numbers or do not increase, or the layers do not share one
            count.
    """
    own = count_of(net)
    if grids is None or (grids == "auto" and own is None):
        return (None,)
    if isinstance(grids, str):
        if grids != "auto":
            raise ValueError(f'fit: grids must be "auto", None or increasing counts such as (3, 6, 12), got {grids!r}')
        assert own is not None
        counts = [own]
        while counts[-1] // 2 >= COARSEST:
            counts.append(counts[-1] // 2)
        return tuple(reversed(counts))
    if not isinstance(grids, Iterable):
        raise TypeError(f'fit: grids must be "auto", None or increasing counts such as (3, 6, 12), got {grids!r}')
    counts = [whole_number("fit", f"grids[{i}]", count, 1) for i, count in enumerate(grids)]
    if not counts or any(b <= a for a, b in pairwise(counts)):
        raise ValueError(f"fit: grids must be one or more counts that increase, got {tuple(grids)}")
    if own is None:
        raise ValueError(
            "fit: grids need layers whose bases share one count of functions (grid_size, num_grids, degree or "
            "num_frequencies), and no grid or knots given point by point; leave grids out"
        )
    return tuple(counts)


def coarsen(net: nn.Module, count: int) -> None:
    """Give every layer the basis with this count and new weights, in place; `reset_parameters` draws them later.

    Frozen layers do not change.
    """
    for layer in free_layers(net):
        field = count_field(layer.basis)
        assert field is not None
        if getattr(layer.basis, field) == count:
            continue
        basis = dataclasses.replace(layer.basis, **{field: count})
        like = layer.weight
        tensors = basis.init(layer.in_features, layer.out_features, device=like.device, dtype=like.dtype)
        layer.set_functions(basis, tensors, like.new_zeros(*like.shape[:2], basis.num_basis))


def refine(net: nn.Module, count: int) -> None:
    """Give every layer the finer basis with this count, keeping its functions, in place; frozen ones do not change."""
    with torch.no_grad():
        for layer in free_layers(net):
            layer.refine(count)


def take_over(net: nn.Module, fitted: nn.Module) -> None:
    """Give `net` the bases and all numbers of `fitted`, rounded to the dtype of `net`.

    `fitted` is a copy of `net`; its grids may differ.

    Raises:
        ValueError: a number is too large for this dtype; `net` is then unchanged.
    """
    learned = {name for name, p in fitted.named_parameters() if p.requires_grad}
    dtypes = {name: tensor.dtype for name, tensor in net.state_dict().items()}
    for name, tensor in fitted.state_dict().items():
        lost = ~torch.isfinite(tensor.to(dtypes[name]))
        if bool((lost if name in learned else lost & torch.isfinite(tensor)).any()):
            size = float(tensor.abs().max())
            raise ValueError(
                f"fit: {name} of the fitted network is as large as {size:.2g}, which {dtypes[name]} cannot hold; "
                "divide y by its size, or make the network with dtype=torch.float64"
            )
    for mine, theirs in zip(kan_layers(net), kan_layers(fitted), strict=True):
        mine.set_functions(theirs.basis, theirs.basis_tensors(), theirs.weight)
    net.load_state_dict(fitted.state_dict())
