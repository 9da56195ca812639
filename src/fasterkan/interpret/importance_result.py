"""The result of `fasterkan.importance`, and its table."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from torch import Tensor

from ._names import column_names

_MOST = 20
"""Largest number of inputs in the table."""


@dataclasses.dataclass(frozen=True)
class Cancelling:
    """Nodes of which the parts cancel: each part is large, and their sum is small.

    Attributes:
        layer: number of the layer that the nodes enter; 0 for the network's inputs.
        nodes: their numbers, from 0; in layer 0 the numbers of the columns of X.
        parts: variance of the part of each node, divided by the outputs' variance.
        share: the share of all of them together, the sum of their shares.
    """

    layer: int
    nodes: tuple[int, ...]
    parts: tuple[float, ...]
    share: float

    def text(self, inputs: Sequence[str]) -> str:
        """Return one line; `inputs` are the names of the columns of X."""
        named = [inputs[n] if self.layer == 0 else f"h{self.layer}.{n + 1}" for n in self.nodes]
        listed = f"{', '.join(named[:-1])} and {named[-1]}"
        sizes = ", ".join(f"{100 * part:.0f} %" for part in self.parts)
        return (
            f"{listed} cancel: their parts are {sizes} of the variance, and together they have {100 * self.share:.2f} %"
        )


@dataclasses.dataclass(frozen=True)
class Importance:
    """Shares of the variance of a network's outputs; `str` is a table of the inputs.

    No share is negative. The shares of all inputs sum to 1, and so do those of the nodes or edges of one layer.

    Attributes:
        inputs: shares of the columns of X [I]; 0 for columns that `fk.prune` removed.
        errors: standard errors of `inputs` [I], of the draws of other rows and of orders.
        nodes: shares of the inputs of each layer, one tensor [I] per layer: first the network's inputs, then the hidden
            nodes.
        edges: shares of the edges, one tensor [O, I] per layer.
        shares: share of each edge in the variance of the node where it ends, [O, I] per layer; each row sums to 1, or
            to 0 for a constant node.
        additive: `shares` multiplied along the paths from the outputs back, [O, I] per layer.
        cancelling: inputs and nodes of which the parts cancel, in groups.
        method: "shuffle" or "gradient".
        names: names of the columns of X: those of the network, or else x1, x2, ...
        note: the reason why all shares are 0, if no output varies; else empty.
    """

    inputs: Tensor
    errors: Tensor
    nodes: tuple[Tensor, ...]
    edges: tuple[Tensor, ...]
    shares: tuple[Tensor, ...]
    additive: tuple[Tensor, ...]
    cancelling: tuple[Cancelling, ...]
    method: str
    names: tuple[str, ...]
    note: str = ""

    def ranking(self, names: Sequence[str] | None = None) -> list[tuple[str, float]]:
        """Return (name, share) of the inputs, the most important first.

        Args:
            names: names of the inputs; default `self.names`.
        """
        named = column_names("Importance.ranking", names, self.names)
        order = sorted(range(len(named)), key=lambda i: (-float(self.inputs[i]), i))
        return [(named[i], float(self.inputs[i])) for i in order]

    def text(self, names: Sequence[str] | None = None) -> str:
        """Return the table without its head, and a line for each group that cancels.

        Args:
            names: names of the inputs; default `self.names`.
        """
        named = column_names("Importance.text", names, self.names)
        ranked = self.ranking(named)
        size = max(8, *(len(name) for name, _ in ranked[:_MOST]))
        lines = [f"{name:<{size}}{100 * share:7.2f} %" for name, share in ranked[:_MOST]]
        if len(ranked) > _MOST:
            lines.append(f"and {len(ranked) - _MOST} more inputs")
        return "\n".join([*lines, *(group.text(named) for group in self.cancelling)])

    def __str__(self) -> str:
        head = f"share of the outputs' variance ({self.method})"
        return "\n".join([f"{head}; {self.note}" if self.note else head, self.text()])
