"""The objective of several networks: the misfit, over rows or as a whole, and the penalties on their edges."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from .flat import FlatNet
from .smoothness import Smoothness
from .sparsity import Sparsity

Constants = dict[str, Tensor]
FEWEST = 32
"""Smallest number of rows of each misfit in a part of a sum."""


class Misfit(Protocol):
    """A mean loss of networks theta [S, P] with constants [S, ...]; for example `Rows` or `Residual`."""

    count: int
    """Number of rows; 1 if the loss cannot be divided into rows."""
    share: float
    """How much the rows determine, compared with equal weights: a fraction of 1."""

    def between(self, start: int, stop: int) -> Misfit:
        """Return the mean loss over the rows from start to stop."""

    def value(self, theta: Tensor, constants: Constants) -> Tensor:
        """Return the loss [S]."""

    def by_output(self, theta: Tensor, constants: Constants) -> Tensor:
        """Return the part of each output in the loss, [S, M]; [S, 1] if there are no separate outputs."""

    def normal(self, theta: Tensor, constants: Constants) -> tuple[Tensor, Tensor]:
        """Return the Gauss-Newton matrix [S, P, P] and the gradient [S, P]."""

    def gradient(self, theta: Tensor, constants: Constants) -> tuple[Tensor, Tensor]:
        """Return the loss [S] and the gradient [S, P]."""


class Sum:
    """The sum of several misfits."""

    def __init__(self, parts: Sequence[Misfit]) -> None:
        self.parts = tuple(parts)
        self.count = max(part.count for part in parts)
        self.share = min(part.share for part in parts)

    def between(self, start: int, stop: int) -> Sum:
        """Return the sum over the same share of each misfit's rows, at least `FEWEST` of them."""
        found = []
        for part in self.parts:
            low, high = (part.count * end // self.count for end in (start, stop))
            low = max(0, min(low, part.count - FEWEST))
            found.append(part.between(low, max(high, low + FEWEST)))
        return Sum(found)

    def value(self, theta: Tensor, constants: Constants) -> Tensor:
        return torch.stack([part.value(theta, constants) for part in self.parts]).sum(0)

    def by_output(self, theta: Tensor, constants: Constants) -> Tensor:
        return self.value(theta, constants).unsqueeze(-1)

    def normal(self, theta: Tensor, constants: Constants) -> tuple[Tensor, Tensor]:
        matrices, gradients = zip(*(part.normal(theta, constants) for part in self.parts), strict=True)
        return torch.stack(matrices).sum(0), torch.stack(gradients).sum(0)

    def gradient(self, theta: Tensor, constants: Constants) -> tuple[Tensor, Tensor]:
        values, gradients = zip(*(part.gradient(theta, constants) for part in self.parts), strict=True)
        return torch.stack(values).sum(0), torch.stack(gradients).sum(0)


class Penalised:
    """The misfit of S networks plus the penalties of each: an `Objective` of Levenberg-Marquardt.

    Args:
        misfit: the misfit of networks of this shape.
        flat: the shape of the networks.
        nets: S networks, which give the constants and the grids.
        smoothness: strength of the smoothness penalty of each network, [S].
        sparsity: strength of the sparsity penalty, the same for all networks.
    """

    def __init__(
        self, misfit: Misfit, flat: FlatNet, nets: Sequence[nn.Module], smoothness: Tensor, sparsity: float
    ) -> None:
        self.misfit, self.constants = misfit, flat.constants(nets)
        self.penalties: list[Smoothness | Sparsity] = []
        if bool(smoothness.any()):
            self.penalties.append(Smoothness(flat, nets, smoothness))
        if sparsity:
            self.penalties.append(Sparsity(flat, nets, sparsity))

    def over(self, misfit: Misfit) -> Penalised:
        """Return the same objective with another misfit."""
        other = copy.copy(self)
        other.misfit = misfit
        return other

    def keep(self, lanes: Tensor) -> None:
        """Continue with these networks only."""
        self.constants = self._of(lanes)
        for penalty in self.penalties:
            penalty.keep(lanes)

    def value(self, theta: Tensor, lanes: Tensor) -> Tensor:
        total = self.misfit.value(theta, self._of(lanes))
        for penalty in self.penalties:
            total = total + penalty.value(theta, lanes)
        return total

    def normal(self, theta: Tensor, lanes: Tensor) -> tuple[Tensor, Tensor]:
        matrix, gradient = self.misfit.normal(theta, self._of(lanes))
        for penalty in self.penalties:
            penalty.add_normal(matrix, gradient, theta, lanes)
        return matrix, gradient

    def gradient(self, theta: Tensor, lanes: Tensor) -> tuple[Tensor, Tensor]:
        """Return the objective [S] and its gradient [S, P]."""
        value, gradient = self.misfit.gradient(theta, self._of(lanes))
        for penalty in self.penalties:
            value = value + penalty.value(theta, lanes)
            penalty.add_gradient(gradient, theta, lanes)
        return value, gradient

    def _of(self, lanes: Tensor) -> Constants:
        return {name: tensor[lanes] for name, tensor in self.constants.items()}
