"""One edge of a network as an object: its function, the distribution of its data, and its importance."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor

from .._arrays import array_of
from .._device import moved
from ..nn import KANLinear
from ..nn.edge_functions import panel, panel_weights


@dataclasses.dataclass(frozen=True, eq=False)
class Edge:
    """The function of one variable on one edge; `edge(x)` evaluates it.

    The object is a snapshot of the network: later training does not change it.

    Attributes:
        layer: number of the layer, from 0.
        input: number i of the node where the edge begins; in the first layer, number of the column of X.
        output: number o of the node where the edge ends.
        points: points of the table of the function, [S], in units of the edge's input x, evenly spaced from the
            smallest to the largest x of the data.
        values: f(points) [S], with the base branch but without the layer's bias.
        mean: the mean of the edge's raw function over the data, which was subtracted: f has the mean 0 over the data.
            The node is its layer's bias plus the sum of mean + f over its edges. 0 without data.
        histogram: number of rows of the data in each bin [B]; None without data.
        bin_edges: ends of the bins [B + 1], in units of x; None without data.
        share: share of the edge in the variance of its node, Var f / sum_i Var f_oi, from 0 to 1; None without data.
        additive: share in the variance of the model's outputs, computed by multiplying shares along the paths to the
            outputs; None without data.
        total: share in the variance of the model's outputs by shuffling or by gradients, as in `importance`; None
            without data.
        monotonicity: share of the range in which the slope has its more frequent sign, from 0.5 to 1; 1 for a monotonic
            or constant function.
        flatness: share of the range in which the slope is below 1/20 of the largest slope; 1 for a constant function.
        band: standard deviation of f(points), [S]; None if `edges` was called without y and without bands.
        start: name of the node where the edge begins: the name of an input, or h and the layer and number of a node.
        end: name of the node where the edge ends.
    """

    layer: int
    input: int
    output: int
    points: Tensor
    values: Tensor
    mean: float
    histogram: Tensor | None
    bin_edges: Tensor | None
    share: float | None
    additive: float | None
    total: float | None
    monotonicity: float
    flatness: float
    band: Tensor | None
    start: str
    end: str
    function: EdgeFunction = dataclasses.field(repr=False)

    def __call__(self, x: Any) -> Tensor:
        """Return f(x) for a tensor, an array or numbers of any shape, in units of the edge's input: float64.

        It is differentiable with respect to a tensor.
        """
        return self.function(array_of("Edge", "x", x, graph=True))

    @property
    def name(self) -> str:
        """A name such as "x1 -> h1.2" or "h1.2 -> price"."""
        return f"{self.start} -> {self.end}"

    def __str__(self) -> str:
        low, high = float(self.points[0]), float(self.points[-1])
        text = f"{self.name} on {low:.4g} ... {high:.4g}"
        if self.share is not None and self.total is not None:
            text += f": {100 * self.share:.1f} % of its node, {100 * self.total:.1f} % of the outputs"
        return f"{text}; monotonic on {100 * self.monotonicity:.0f} %, flat on {100 * self.flatness:.0f} %"


@dataclasses.dataclass(frozen=True, eq=False)
class EdgeFunction:
    """x -> f_oi(x) - mean, computed with a copy of the layer.

    Attributes:
        layer: a copy of the layer, shared by its edges.
        output: o.
        column: i within the layer.
        mean: a constant.
    """

    layer: KANLinear
    output: int
    column: int
    mean: float

    def __call__(self, x: Tensor) -> Tensor:
        """Return f(x), float64, of x's shape."""
        layer = self.layer
        points = moved(x, layer.weight.device, layer.weight.dtype).reshape(-1)  # [S]
        functions = panel(layer, points.unsqueeze(-1).expand(-1, layer.in_features))
        if layer.basis.per_edge:
            functions = functions[:, self.output]
        weight = panel_weights(layer)[self.output, self.column]  # [J]
        return (functions[:, self.column] @ weight - self.mean).reshape(x.shape)


def shape_of(slopes: Tensor) -> tuple[Tensor, Tensor]:
    """Return (monotonicity, flatness) of functions by their slopes [S, ...] at evenly spread points."""
    size = slopes.abs()
    steepest = size.amax(0)
    counted = size > 1e-9 * steepest  # slopes of the size of rounding errors have no sign
    rising = ((slopes > 0) & counted).double().mean(0)
    falling = ((slopes < 0) & counted).double().mean(0)
    both = rising + falling
    monotonicity = torch.where(both > 0, torch.maximum(rising, falling) / both.clamp_min(1e-12), 1)
    return monotonicity, torch.where(steepest > 0, (size < 0.05 * steepest).double().mean(0), 1)
