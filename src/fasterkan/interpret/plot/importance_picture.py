"""The picture of the importance of the inputs: bars, or a map for images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor, nn

from ..._check import whole_number
from ..importance_result import Importance
from ..importances import importance as importance_of
from ._style import BLUE, INK, PALE, SMALL, TEXT, new_figure, percent, plain_axes

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def importance(
    net: nn.Module | Importance,
    X: Tensor | None = None,
    *,
    names: Sequence[str] | None = None,
    top: int = 20,
    image: tuple[int, int] | None = None,
    title: str | None = None,
) -> Figure:
    """Draw the inputs' shares of the outputs' variance, the most important at the top.

    Args:
        net: a network with any norm, or an `Importance`.
        X: rows [N, I]; needed with a network.
        names: names of the columns of X; default the network's own (`set_names`), or else x1, x2, ...
        top: largest number of inputs that are shown; a line tells the total number.
        image: height and width of an image whose pixels are the inputs; a map is drawn instead of bars.
        title: the title.

    Returns:
        A matplotlib Figure, outside pyplot. If no output varies, all shares are 0, and a line gives the reason.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError, ValueError: as in `importance`; X is missing; names or image do not have the right size.
    """
    top = whole_number("plot.importance", "top", top, 1)
    if not isinstance(net, Importance):
        if X is None:
            raise ValueError("plot.importance: give the rows X with the network, or an Importance")
        net = importance_of(net, X)
    heading = "share of the outputs' variance" if title is None else title
    if image is not None:
        return _map(net, image, heading)
    ranking = net.ranking(names)
    shown = ranking[:top]
    left = 0.35 + 0.085 * max(len(name) for name, _ in shown)
    below = 0.35 if len(ranking) > len(shown) or net.note else 0.15
    height = 0.26 * len(shown)
    figure = new_figure(left + 4.4, height + below + 0.45)
    axes = plain_axes(figure, left, below, 3.6, height)
    places = range(len(shown))
    bars = axes.barh(places, [share for _, share in shown], height=0.62, color=BLUE)
    for bar, (_, share) in zip(bars, shown, strict=True):
        place = bar.get_y() + bar.get_height() / 2
        axes.text(bar.get_width(), place, f" {percent(share)}", va="center", fontsize=SMALL, color=INK)
    axes.set_yticks(places, [name for name, _ in shown], fontsize=TEXT, parse_math=False)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xlim(0, 1.02 * max(max(share for _, share in shown), 1e-12))
    axes.set_xticks([])
    axes.tick_params(axis="y", length=0)
    axes.spines["bottom"].set_visible(False)
    axes.set_title(heading, fontsize=TEXT, color=INK, loc="left", parse_math=False)
    more = f"the {len(shown)} most important of {len(ranking):,} inputs" if len(ranking) > len(shown) else ""
    if text := "; ".join(part for part in (more, net.note) if part):
        axes.text(0, len(shown) - 0.1, text, va="center", fontsize=SMALL, color=PALE, style="italic")
    return figure


def _map(worth: Importance, image: tuple[int, int], heading: str) -> Figure:
    rows, columns = image
    if rows * columns != len(worth.inputs):
        raise ValueError(f"plot.importance: image {image} has {rows * columns} pixels, there are {len(worth.inputs)}")
    figure = new_figure(4.3, 3.7)
    axes = plain_axes(figure, 0.25, 0.2, 3.2, 3.2)
    shown = axes.imshow(worth.inputs.view(rows, columns).sqrt().numpy(), cmap="Blues", interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(heading, fontsize=TEXT, color=INK, loc="left", parse_math=False)
    beside = plain_axes(figure, 3.6, 0.2, 0.12, 3.2)
    scale = figure.colorbar(shown, cax=beside)
    ticks = [t for t in scale.get_ticks() if 0 <= t <= float(worth.inputs.max()) ** 0.5]
    scale.set_ticks(ticks, labels=[f"{100 * t * t:.2g} %" for t in ticks])
    beside.tick_params(labelsize=SMALL, length=2)
    for edge in (*axes.spines.values(), scale.outline):
        edge.set_visible(False)
    return figure
