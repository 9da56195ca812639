"""The picture of a network: the nodes, and for every edge its curve in a small box."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..._check import whole_number
from ..._device import with_float64
from .._names import column_names, input_names, output_names
from .._walk import one_variable, rows_of
from ..edge import Edge
from ..edge_list import chosen_edges, worth_of
from ._chosen import lonely_nodes, most_important
from ._layout import BOX, Layout, lay_out
from ._style import BLUE, FAINT, INK, PALE, TEXT, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FAINTEST = 0.12
"""Opacity of an edge with no importance."""


def network(
    net: nn.Module,
    X: Tensor,
    *,
    inputs: Sequence[str] | None = None,
    outputs: Sequence[str] | None = None,
    max_edges: int = 60,
    title: str | None = None,
) -> Figure:
    """Draw a network with every edge's function in a box; more important edges are darker.

    The picture goes from left to right. A box shows the edge's function over the range of the data; each box has its
    own scale. The opacity is the square root of the edge's total importance, divided by the largest one in its layer.
    If the network has more than `max_edges` edges, only the edges between the most important nodes of each layer are
    drawn, and a line below says so.

    Args:
        net: a KAN or a KANLinear with norm="feature" or None, as for `edges`.
        X: rows [N, I].
        inputs: names of the columns of X; default the network's own (`set_names`), or else x1, x2, ...
        outputs: names of the outputs; default the network's own, or else y1, y2, ...
        max_edges: largest number of edges that are drawn.
        title: the title.

    Returns:
        A matplotlib Figure, outside pyplot; `figure.savefig("net.svg")` writes it. Curves have the gid "curve
        LAYER:INPUT:OUTPUT", boxes "box ...", nodes "node LAYER:NUMBER", all counted from 0.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError, ValueError, RuntimeError: as in `edges`; or the number of names is wrong.

    Example:
        >>> figure = network(KAN([2, 3, 1], norm=None), torch.rand(100, 2) * 2 - 1)
        >>> len([line for line in figure.axes[0].lines if str(line.get_gid()).startswith("curve")])
        9
    """
    max_edges = whole_number("plot.network", "max_edges", max_edges, 1)
    net = with_float64(net)
    layers = one_variable("plot.network", net)
    x = rows_of("plot.network", net, X)
    left = column_names("plot.network", inputs, input_names(layers[0]))
    right = column_names("plot.network", outputs, output_names(layers[-1]))
    worth = worth_of(net, x)
    chosen, note = most_important(net, worth, max_edges)
    edges = chosen_edges(net, x, worth, chosen, None, 61, 1, (left, right))
    lonely = [] if note else lonely_nodes(net)
    layout = lay_out(edges, lonely, len(layers))
    names = {(0, i): name for i, name in enumerate(left)} | {(len(layers), o): name for o, name in enumerate(right)}
    return _draw(layout, edges, names, title, note)


def _draw(
    layout: Layout, edges: Sequence[Edge], names: dict[tuple[int, int], str], title: str | None, note: str
) -> Figure:
    left = 0.35 + 0.085 * max((len(names[node]) for node in layout.nodes if node[0] == 0), default=0)
    last = max(node[0] for node in layout.nodes)
    right = 0.35 + 0.085 * max((len(names[node]) for node in layout.nodes if node[0] == last), default=0)
    below, above = (0.5 if note else 0.25), (0.55 if title else 0.25)
    width, height = max(layout.width + left + right, 3.2), layout.height + below + above
    figure = new_figure(width, height)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(-left, width - left)
    axes.set_ylim(-below, height - below)
    for edge, strength in zip(edges, _strengths(edges), strict=True):
        _draw_edge(axes, layout, edge, strength)
    words: dict[str, Any] = {"va": "center", "fontsize": TEXT, "color": INK, "zorder": 5, "parse_math": False}
    for (layer, number), (x, y) in layout.nodes.items():
        axes.plot([x], [y], "o", color=INK, markersize=5, gid=f"node {layer}:{number}", zorder=4)
        if layer in (0, last):
            side, align = (-0.12, "right") if layer == 0 else (0.12, "left")
            axes.text(x + side, y, names[layer, number], ha=align, **words)
    middle = layout.width / 2
    if title:
        axes.text(middle, layout.height + 0.3, title, ha="center", **words | {"fontsize": TEXT + 2})
    if note:
        axes.text(middle, -0.32, note, ha="center", va="center", fontsize=TEXT - 0.5, color=PALE, style="italic")
    return figure


def _strengths(edges: Sequence[Edge]) -> list[float]:
    """Opacity of each edge: the square root of its importance divided by the largest in its layer."""
    highest: dict[int, float] = {}
    for edge in edges:
        highest[edge.layer] = max(highest.get(edge.layer, 0.0), edge.total or 0.0)
    return [
        FAINTEST + (1 - FAINTEST) * ((edge.total or 0.0) / highest[edge.layer]) ** 0.5 if highest[edge.layer] else 1.0
        for edge in edges
    ]


def _draw_edge(axes: Axes, layout: Layout, edge: Edge, strength: float) -> None:
    from matplotlib.patches import FancyBboxPatch

    name = f"{edge.layer}:{edge.input}:{edge.output}"
    x, y = layout.boxes[edge.layer, edge.input, edge.output]
    (x0, y0), (x1, y1) = layout.nodes[edge.layer, edge.input], layout.nodes[edge.layer + 1, edge.output]
    half = BOX[0] / 2
    thin: dict[str, Any] = {"color": INK, "linewidth": 0.9, "alpha": strength, "zorder": 1, "solid_capstyle": "round"}
    axes.plot([x0, x - half], [y0, y], gid=f"line in {name}", **thin)
    axes.plot([x + half, x1], [y, y1], gid=f"line out {name}", **thin)
    inner = 0.04
    frame = FancyBboxPatch(
        (x - half + inner / 2, y - BOX[1] / 2 + inner / 2),
        BOX[0] - inner,
        BOX[1] - inner,
        boxstyle=f"round,pad={inner / 2},rounding_size=0.05",
        facecolor="white",
        edgecolor=FAINT if strength < 0.3 else PALE,
        linewidth=0.8,
        zorder=2,
    )
    frame.set_gid(f"box {name}")
    axes.add_patch(frame)
    across, up = curve_in_box(edge)
    axes.plot(
        (x + across * (BOX[0] - 0.16)).numpy(),
        (y + up * (BOX[1] - 0.13)).numpy(),
        color=BLUE,
        alpha=max(strength, 0.25),
        linewidth=1.4,
        solid_capstyle="round",
        zorder=3,
        gid=f"curve {name}",
    )


def curve_in_box(edge: Edge) -> tuple[Tensor, Tensor]:
    """Return the edge's curve with both coordinates scaled to -1/2 ... 1/2; a constant lies in the middle."""
    across = torch.linspace(-0.5, 0.5, len(edge.points), dtype=torch.float64, device="cpu")
    low, high = edge.values.min(), edge.values.max()
    spread = high - low
    if float(spread) <= 1e-9 * float((edge.values + edge.mean).abs().max()):
        return across, torch.zeros_like(across)
    return across, (edge.values - low) / spread - 0.5
