"""The picture of one edge: its function, its uncertainty, and the distribution of the data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..edge import Edge
from ._style import BLUE, FAINT, INK, PALE, SMALL, TEXT, new_figure, percent, plain_axes

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def edge(edge: Edge, *, title: str | None = None, xlabel: str | None = None, ylabel: str | None = None) -> Figure:
    """Draw the function of one edge over the range of its data.

    The histogram of its input is below. If the edge has a band, the picture shows two standard deviations around the
    function.

    Args:
        edge: one of `fk.edges(net, X)`; for the band, one of `fk.edges(net, X, y)` or of
            `fk.edges(net, X, bands=fk.bootstrap_bands(net, X, y))`.
        title: the title; default the edge's name and its share.
        xlabel: the label below; default the name of the node where the edge begins.
        ylabel: the label at the side; default "f(x)".

    Returns:
        A matplotlib Figure, outside pyplot. The curve has the gid "curve", the band "band".

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: `edge` is not an `Edge`.

    Example:
        >>> import fasterkan as fk
        >>> one = fk.edges(fk.KAN([2, 1], norm=None), torch.rand(50, 2))[0]
        >>> edge(one).axes[0].get_xlabel()
        'x1'
    """
    if not isinstance(edge, Edge):
        raise TypeError(f"plot.edge: edge must be one of fk.edges(net, X), got {type(edge).__name__}")
    figure = new_figure(4.4, 3.3)
    below = 0.55 if edge.histogram is not None else 0.0
    axes = plain_axes(figure, 0.7, 0.55 + below, 3.5, 2.35 - below)
    points, values = edge.points.numpy(), edge.values.numpy()
    axes.plot(points, values, color=BLUE, linewidth=1.8, gid="curve")
    if edge.band is not None:
        reach = 2 * edge.band.numpy()
        axes.fill_between(points, values - reach, values + reach, color=BLUE, alpha=0.18, linewidth=0, gid="band")
    axes.set_ylabel("f(x)" if ylabel is None else ylabel, fontsize=TEXT, color=INK, parse_math=False)
    last = axes
    if edge.histogram is not None and edge.bin_edges is not None:
        last = plain_axes(figure, 0.7, 0.55, 3.5, 0.45)
        starts, widths = edge.bin_edges[:-1].numpy(), edge.bin_edges.diff().numpy()
        last.bar(starts, edge.histogram.numpy(), width=widths, align="edge", color=FAINT, edgecolor="white")
        last.set_yticks([])
        last.spines["left"].set_visible(False)
        last.set_ylabel("rows", fontsize=SMALL, color=PALE)
        axes.set_xticklabels([])
        for each in (axes, last):
            each.set_xlim(float(edge.bin_edges[0]), float(edge.bin_edges[-1]))
    last.set_xlabel(edge.start if xlabel is None else xlabel, fontsize=TEXT, color=INK, parse_math=False)
    share = "" if edge.share is None else f": {percent(edge.share)} of its node's variance"
    axes.set_title(f"{edge.name}{share}" if title is None else title, fontsize=TEXT, color=INK, parse_math=False)
    return figure
