"""The result of pruning: what was removed, and how the loss changed."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from torch import nn

from ...models import KAN
from ...nn import KANLinear
from .._names import column_names, input_names


@dataclasses.dataclass(frozen=True)
class Size:
    """The size of a network: `edges` that are on, and `parameters` that are learned (including edges that are off)."""

    edges: int
    parameters: int


def size_of(net: nn.Module) -> Size:
    """Return the size of a network."""
    layers = [module for module in net.modules() if isinstance(module, KANLinear)]
    edges = sum(layer.weight[..., 0].numel() if layer.mask is None else int(layer.mask.sum()) for layer in layers)
    return Size(edges, sum(parameter.numel() for parameter in net.parameters()))


def columns_of(net: KAN) -> list[int]:
    """Return the numbers of the columns of X that a network uses; none if no edge of the first layer is on."""
    if not size_of(net.kan_layers()[0]).edges:
        return []
    return list(range(net.layers_hidden[0])) if net.kept_inputs is None else net.kept_inputs.tolist()


@dataclasses.dataclass(frozen=True)
class PruneReport:
    """The outcome of `fasterkan.prune`; `str` is a summary.

    Attributes:
        net: the smaller network, in evaluation mode.
        before, after: `Size` of the given network and of the smaller one.
        loss_before, loss_after: losses on the held-out rows, or final prediction errors if there are none
            (`fasterkan.prune`). For numbers it is the mean over the outputs, each divided by its target's variance.
        loss_allowed: the largest allowed loss; for several outputs, the mean of their limits.
        removed_inputs: numbers of the columns of X that the given network uses and the smaller one does not; all of
            them if no edge is left.
        widths_before, widths_after: inputs, hidden nodes ..., outputs; in both the first is the width of X.
        rows: number of rows on which the losses were computed.
    """

    net: KAN = dataclasses.field(repr=False)
    before: Size
    after: Size
    loss_before: float
    loss_after: float
    loss_allowed: float
    removed_inputs: tuple[int, ...]
    widths_before: tuple[int, ...]
    widths_after: tuple[int, ...]
    rows: int

    def __str__(self) -> str:
        return self.text()

    def text(self, inputs: Sequence[str] | None = None) -> str:
        """Return the summary.

        Args:
            inputs: names of the columns of X; default the network's own, or else x1, x2, ...
        """
        names = column_names("PruneReport.text", inputs, input_names(self.net.kan_layers()[0]))
        left = len(columns_of(self.net))
        gone = ", ".join(names[i] for i in self.removed_inputs[:20])
        gone += f" and {len(self.removed_inputs) - 20} more" if len(self.removed_inputs) > 20 else ""
        saved = len(self.widths_before) - len(self.widths_after)
        lines = [
            f"widths      {[left + len(self.removed_inputs), *self.widths_before[1:]]} -> "
            f"{[left, *self.widths_after[1:]]}"
            + (f" ({saved} layer{'s' if saved > 1 else ''} removed)" if saved else ""),
            f"edges       {_change(self.before.edges, self.after.edges)}",
            f"parameters  {_change(self.before.parameters, self.after.parameters)}",
            f"inputs gone {gone or 'none'}",
            f"loss        {self.loss_before:.6g} -> {self.loss_after:.6g} on {self.rows:,} rows "
            f"(allowed {self.loss_allowed:.6g})",
        ]
        return "\n".join(lines)


def _change(before: int, after: int) -> str:
    return f"{before:,} -> {after:,} ({100 * after / max(1, before):.1f} %)"
