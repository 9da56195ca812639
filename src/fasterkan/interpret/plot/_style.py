"""The common style of the pictures: colours, sizes, and new figures outside pyplot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._check import positive_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, PALE, FAINT = "#1b2733", "#7a8793", "#d5dbe1"
BLUE, ORANGE = "#1f6fb4", "#d9662b"
TEXT, SMALL = 9.0, 7.5
"""Sizes of letters in points."""


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of a size in inches, white, outside pyplot.

    Raises:
        ImportError: matplotlib is not installed; the message has the command that installs it.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ImportError('drawing needs matplotlib: pip install "fasterkan[plot]"') from error
    size = (positive_number("plot", "width", width), positive_number("plot", "height", height))
    return Figure(figsize=size, facecolor="white")


def plain_axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Return axes at a position in inches from the figure's lower left corner, with thin light lines and no box."""
    whole_width, whole_height = figure.get_size_inches()
    place = (left / whole_width, bottom / whole_height, width / whole_width, height / whole_height)
    axes = figure.add_axes(place)
    axes.tick_params(labelsize=SMALL, colors=PALE, labelcolor=INK, length=3, width=0.8)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(FAINT)
    return axes


def percent(share: float) -> str:
    """Return a share of 1 as "12.3 %"."""
    return f"{100 * share:.1f} %"
