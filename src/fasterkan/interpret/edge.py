"""One edge of a network as an object: its function, where the data lies, and what it is worth."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from ..nn import KANLinear
from ..nn.edge_functions import panel, panel_weights


@dataclasses.dataclass(frozen=True, eq=False)
class Edge:
    """The function of one variable on one edge; `edge(x)` evaluates it.

    It is a picture of the network at the time when it was made: training the network later does not change it.

    Attributes:
        layer: number of the layer, from 0.
        input: number i of the node that the edge comes from; in the first layer, of the column of X.
        output: number o of the node that it goes to.
        points: where the function is tabulated, [S], in units of the edge's input x, evenly from the smallest to the
            largest x of the data.
        values: f(points) [S], base branch included, the layer's bias not.
        histogram: how many rows of the data lie in each bin [B]; None without data.
        bin_edges: the bins' ends [B + 1], in units of x; None without data.
        share: of the variance of its node, Var f / sum_i Var f_oi, 0 to 1; None without data.
        additive: of the variance of the model's outputs, `share` handed on through the nodes behind; None without data.
        total: of that variance, by shuffling or by gradients, as `importance` has it; None without data.
        monotonicity: share of the range in which the slope has the sign that it has more often, 0.5 to 1; 1 for a
            monotonic function and for a constant one.
        flatness: share of the range in which the slope is below a twentieth of the steepest; 1 for a constant.
        band: standard deviation of f(points) minus its mean over the data, [S]; None unless `edges` was given y.
    """

    layer: int
    input: int
    output: int
    points: Tensor
    values: Tensor
    histogram: Tensor | None
    bin_edges: Tensor | None
    share: float | None
    additive: float | None
    total: float | None
    monotonicity: float
    flatness: float
    band: Tensor | None
    function: EdgeFunction = dataclasses.field(repr=False)

    def __call__(self, x: Tensor | float) -> Tensor:
        """Return f(x) for x of any shape, in units of the edge's input: float64, differentiable."""
        return self.function(x if isinstance(x, Tensor) else torch.tensor(x, dtype=torch.float64))

    @property
    def name(self) -> str:
        """Such as "x1 -> h1.2" or "h1.2 -> y1": inputs are x, outputs y, hidden nodes h with their layer's number."""
        start = f"x{self.input + 1}" if self.layer == 0 else f"h{self.layer}.{self.input + 1}"
        end = f"y{self.output + 1}" if self.function.last else f"h{self.layer + 1}.{self.output + 1}"
        return f"{start} -> {end}"

    def __str__(self) -> str:
        low, high = float(self.points[0]), float(self.points[-1])
        text = f"{self.name} on {low:.4g} ... {high:.4g}"
        if self.share is not None and self.total is not None:
            text += f": {100 * self.share:.1f} % of its node, {100 * self.total:.1f} % of the outputs"
        return f"{text}; monotonic on {100 * self.monotonicity:.0f} %, flat on {100 * self.flatness:.0f} %"


@dataclasses.dataclass(frozen=True, eq=False)
class EdgeFunction:
    """x -> f_oi(x) of a layer that nobody else changes.

    Attributes:
        layer: a copy of the layer, shared by its edges.
        output: o.
        column: i within the layer.
        last: whether it is the network's last layer.
    """

    layer: KANLinear
    output: int
    column: int
    last: bool

    def __call__(self, x: Tensor) -> Tensor:
        """Return f(x), float64, of x's shape."""
        layer = self.layer
        points = x.to(layer.weight.device, layer.weight.dtype).reshape(-1)  # [S]
        functions = panel(layer, points.unsqueeze(-1).expand(-1, layer.in_features))
        if layer.basis.per_edge:
            functions = functions[:, self.output]
        weight = panel_weights(layer)[self.output, self.column]  # [J]
        return (functions[:, self.column] @ weight).reshape(x.shape)


def shape_of(slopes: Tensor) -> tuple[Tensor, Tensor]:
    """Return (monotonicity, flatness) of functions by their slopes [S, ...] at evenly spread points."""
    size = slopes.abs()
    steepest = size.amax(0)
    counted = size > 1e-9 * steepest  # rounding has no sign
    rising = ((slopes > 0) & counted).double().mean(0)
    falling = ((slopes < 0) & counted).double().mean(0)
    both = rising + falling
    monotonicity = torch.where(both > 0, torch.maximum(rising, falling) / both.clamp_min(1e-12), 1)
    return monotonicity, torch.where(steepest > 0, (size < 0.05 * steepest).double().mean(0), 1)
