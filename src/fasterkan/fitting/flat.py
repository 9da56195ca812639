"""A network as a function of one flat vector of its learned numbers in float64, for several networks in parallel."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .probe import exact_copy
from .units import LARGEST_NUMBER, Units


class FlatNet:
    """The learned parameters of a network as one vector theta [P]; buffers and frozen parameters are constants.

    Args:
        net: the network. A float64 copy in evaluation mode is stored; the network itself does not change.
        units: the units of the parameters; by default 1.

    Attributes:
        net: the copy, for `torch.func.functional_call`.
        size: P.
        largest: the largest size of each variable, [P].
    """

    def __init__(self, net: nn.Module, units: Units | None = None) -> None:
        self.net = exact_copy(net)
        learned = {name: p for name, p in self.net.named_parameters() if p.requires_grad}
        self.names = tuple(learned)
        self.shapes = tuple(p.shape for p in learned.values())
        self.sizes = tuple(p.numel() for p in learned.values())
        self.size = sum(self.sizes)
        self.units = Units() if units is None else units
        most = torch.tensor(LARGEST_NUMBER, dtype=torch.float32, device="cpu").double()
        limits = [self.units.largest.get(name, most) for name in self.names]
        device = next(self.net.parameters()).device
        self.largest = torch.cat(
            [limit.to(device).expand(shape).reshape(-1) for limit, shape in zip(limits, self.shapes, strict=True)]
        )

    def start_of(self, name: str) -> int | None:
        """Return the index in theta at which a parameter begins; None if it is not learned."""
        return sum(self.sizes[: self.names.index(name)]) if name in self.names else None

    def theta(self, nets: Sequence[nn.Module]) -> Tensor:
        """Return theta [S, P] of S networks of this shape, float64; numbers that are held at 0 become 0."""
        rows = []
        for net in nets:
            found = {name: p.detach().double() for name, p in net.named_parameters() if name in self.names}
            for name, unit in self.units.unit.items():
                if name in found:
                    found[name] = torch.where(unit > 0, found[name] / unit, 0.0)
            rows.append(torch.cat([found[name].reshape(-1) for name in self.names]))
        return torch.stack(rows)

    def constants(self, nets: Sequence[nn.Module]) -> dict[str, Tensor]:
        """Return the buffers and frozen parameters [S, ...] of S networks of this shape, floating ones in float64."""
        found: dict[str, list[Tensor]] = {}
        for net in nets:
            fixed = {name: p for name, p in net.named_parameters() if name not in self.names}
            for name, tensor in {**fixed, **dict(net.named_buffers())}.items():
                exact = tensor.detach().double() if tensor.is_floating_point() else tensor.detach()
                found.setdefault(name, []).append(exact)
        return {name: torch.stack(tensors) for name, tensors in found.items()}

    def unflatten(self, theta: Tensor) -> dict[str, Tensor]:
        """Return the parameters by name for theta [P]."""
        pieces = theta.split(self.sizes)
        found = {name: piece.view(shape) for name, piece, shape in zip(self.names, pieces, self.shapes, strict=True)}
        unit = self.units.unit
        return {name: value * unit[name] if name in unit else value for name, value in found.items()}

    @torch.no_grad()
    def write(self, theta: Tensor, net: nn.Module) -> None:
        """Put theta [P] into a network of this shape, rounded to its dtype."""
        found = dict(net.named_parameters())
        for name, value in self.unflatten(theta).items():
            found[name].copy_(value)
