"""Units of the learned numbers: inside the fit all of them have ordinary sizes, whatever the units of X and y."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .._device import exact_device
from ..nn import KANLinear
from ..nn.edge_layer import EdgeLayer
from .scaling import TargetScale

COMPARED = 64
"""Number of rows that are compared to see whether a layer takes columns of X."""
DEAD = 0.1
"""Smallest size of a base branch's values, as a fraction of its column's size or of 1. Below it, as for relu of
negative numbers, the column's size counts."""
LARGEST_NUMBER = 1e18
"""Largest size of a variable. float32 can hold it, also in the last layer after it is scaled back."""
ROOM = 64
"""The network's dtype must hold this many units of a number."""
MOST = 1e36
"""Largest number in the fit if the size of the outputs is unknown; float32 can hold it."""


@dataclasses.dataclass(frozen=True)
class Units:
    """parameter = unit * variable of the fit, for each parameter by name."""

    unit: Mapping[str, Tensor] = dataclasses.field(default_factory=dict)
    """Powers of two, in a shape that broadcasts to the parameter; 1 if the name is missing. A unit of 0 holds a number
    at 0."""
    sizes: Mapping[str, Tensor] = dataclasses.field(default_factory=dict)
    """The sizes of the columns of X that the parameter multiplies, [I]; 1 if the name is missing."""
    largest: Mapping[str, Tensor] = dataclasses.field(default_factory=dict)
    """Largest size of a variable that the network's dtype can hold; `LARGEST_NUMBER` if the name is missing."""


@torch.no_grad()
def input_sizes(probe: nn.Module, points: Tensor) -> dict[str, Tensor]:
    """Return the sizes of columns of X that learned weights multiply as they are: [I] for each parameter name.

    These are the weights of base branches that do not take z, and of `nn.Linear`, in layers that take columns of X
    directly. A size is a power of two. It is 1 for a column that is uniform on [-1, 1], or that is 0. For a base branch
    it is the size of the branch's values, compared with those for such a column. If the branch scales its columns, they
    are compared with a uniform column of deviation 1: then a size is 1, unless other data has set the scales.

    Args:
        probe: a float64 copy of the network in evaluation mode with calibrated norms.
        points: rows [N, I].
    """
    found: dict[str, Tensor] = {}
    layers = [(name, module) for name, module in probe.named_modules() if isinstance(module, KANLinear | nn.Linear)]
    handles = [
        module.register_forward_pre_hook(_listener(found, f"{name}." if name else "", points))
        for name, module in layers
    ]
    try:
        probe(points)
    finally:
        for handle in handles:
            handle.remove()
    return found


def _listener(found: dict[str, Tensor], prefix: str, points: Tensor) -> Callable[[nn.Module, tuple[Any, ...]], None]:
    def listen(layer: nn.Module, args: tuple[Any, ...]) -> None:
        x = args[0]
        if not _columns_of(points, x):
            return
        if isinstance(layer, nn.Linear):
            found[f"{prefix}weight"] = _power_of_two(_size(x))
        elif isinstance(layer, KANLinear) and layer.base is not None and layer.base_input != "z":
            found[f"{prefix}base_weight"] = base_sizes(layer, layer.selected(x))

    return listen


def _columns_of(points: Tensor, x: Any) -> bool:
    """Whether x [N, I'] consists of columns of the points [N, I]."""
    if not isinstance(x, Tensor) or x.dim() != 2 or len(x) != len(points):
        return False
    a, b = x[:COMPARED], points[:COMPARED]
    return bool((a.unsqueeze(-1) == b.unsqueeze(-2)).all(0).any(-1).all())


def _size(x: Tensor) -> Tensor:
    """sqrt(3) times the root mean square of each column, [I]; squares do not overflow."""
    largest = x.abs().amax(0)
    return (3 * (x / torch.where(largest > 0, largest, 1)).square().mean(0)).sqrt() * largest


def _size_of_base(base: Callable[[Tensor], Tensor], x: Tensor, end: float) -> Tensor:
    """The size of a branch's values, divided by that for a column uniform on [-end, end], [I]."""
    ordinary = _size(base(torch.linspace(-end, end, 257, dtype=x.dtype, device=x.device).unsqueeze(-1)))
    own, column = _size(base(x)) / ordinary, _size(x) / end
    return torch.where(torch.isfinite(own) & (own > DEAD * column.clamp_max(1)), own, column)


@torch.no_grad()
def base_sizes(layer: EdgeLayer, x: Tensor) -> Tensor:
    """Return the size of the base branch of each input, a power of two, [I]; 1 for ordinary inputs and without branch.

    Args:
        layer: a layer of edge functions.
        x: the inputs with edges [N, I], before the norm.
    """
    if layer.base is None or layer.base_input == "z":
        return torch.ones(layer.in_features, dtype=torch.float64, device=x.device)
    seen = layer.split_input(x.double())[2]
    return _power_of_two(_size_of_base(layer.base, seen, 1.0 if layer.base_norm is None else 3**0.5))


def _power_of_two(size: Tensor) -> Tensor:
    return torch.where(torch.isfinite(size) & (size > 0), size, 1.0).log2().round().exp2()


@torch.no_grad()
def balance(net: nn.Module, units: Units) -> None:
    """Divide drawn weights by the sizes of their columns, in place; frozen ones do not change.

    Random weights would otherwise suit only columns of size 1.
    """
    parameters = dict(net.named_parameters())
    for name, size in units.sizes.items():
        if (weight := parameters.get(name)) is not None and weight.requires_grad:
            weight.div_(size)


def units_of(net: nn.Module, sizes: Mapping[str, Tensor], scale: TargetScale | None, dtype: torch.dtype) -> Units:
    """Return the units for a fit.

    A weight that multiplies a column of size s has the unit 1 / s. If the network's dtype cannot hold such a weight
    after the fit, it is held at 0, and the other functions on the edge do all the work.

    Args:
        net: the network; the counts of its bases do not matter.
        sizes: the sizes of `input_sizes`.
        scale: the scale of the targets, or None for equations.
        dtype: dtype of the network that gets the numbers.
    """
    held = torch.finfo(dtype)
    ends = set() if scale is None or scale.last is None else {id(p) for p in scale.last.tensors(net)}
    unit: dict[str, Tensor] = {}
    largest: dict[str, Tensor] = {}
    for name, parameter in net.named_parameters():
        one = torch.ones((), dtype=torch.float64, device=exact_device(parameter.device))
        inside = after = one  # factors in the fit and after it
        if scale is not None and id(parameter) in ends:
            outputs = scale.scale.view(-1, *[1] * (parameter.dim() - 1))
            inside, after = (one, outputs) if scale.folds else (outputs, one)
        if name in sizes:
            inside = inside / sizes[name]
            number = inside * after
            inside = torch.where((number >= held.tiny) & (number <= held.max / ROOM), inside, 0.0)
        if bool((inside != 1).any()):
            unit[name] = inside
        room = held.max / 8 / (inside * after)
        largest[name] = torch.where(room > ROOM**2, room, torch.inf).clamp_max(LARGEST_NUMBER if ends else MOST)
    return Units(unit, sizes, largest)
