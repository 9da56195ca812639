"""The positions of nodes and edges' boxes in a picture of a network, in inches."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from ..edge import Edge

BOX = (0.62, 0.36)
"""Width and height of an edge's box."""
GAP, GROUP_GAP, NODE_GAP = 0.1, 0.22, 0.5
"""Gap between boxes of one node, gap between boxes of two nodes, and smallest distance of the centres of nodes."""
FAN, JOIN = 1.25, 0.75
"""Smallest width for the lines from the nodes to the boxes, and width from the boxes to the next nodes."""
STEEPNESS = 6.0
"""Largest slope of the lines to the boxes: height divided by width of the picture's columns."""

Node = tuple[int, int]
"""Number of the layer of nodes (0 for the inputs), and number of the node in it."""


@dataclasses.dataclass(frozen=True)
class Layout:
    """Centres of nodes by (layer, number) and of boxes by (layer, input, output), and the whole size, in inches."""

    nodes: dict[Node, tuple[float, float]]
    boxes: dict[tuple[int, int, int], tuple[float, float]]
    width: float
    height: float


def lay_out(edges: Sequence[Edge], lonely: Sequence[Node], depth: int) -> Layout:
    """Return the positions for a network that goes from left to right.

    The boxes of a layer form one column. The boxes of one node are together, and the node is beside their middle.

    Args:
        edges: the edges that are drawn.
        lonely: nodes that are drawn although none of their edges is drawn, for example outputs.
        depth: number of layers of edges.
    """
    present = {*lonely}
    for edge in edges:
        present |= {(edge.layer, edge.input), (edge.layer + 1, edge.output)}
    columns = [[e for e in edges if e.layer == layer] for layer in range(depth)]
    heights = [_height(column) for column in columns]
    counts = [sum(layer == n for n, _ in present) for layer in range(depth + 1)]
    height = max(*heights, *((count - 1) * NODE_GAP + BOX[1] for count in counts), BOX[1])
    nodes: dict[Node, tuple[float, float]] = {}
    boxes: dict[tuple[int, int, int], tuple[float, float]] = {}
    fan = max(FAN, height / STEEPNESS)
    step = fan + BOX[0] + JOIN
    _even(nodes, [node for node in sorted(present) if node[0] == 0], 0.0, height)
    for layer, column in enumerate(columns):
        wanted = _boxes(boxes, column, layer * step + fan + BOX[0] / 2, height)
        if _one_each(column):
            _align(nodes, boxes, column, layer)
        here = [node for node in sorted(present) if node[0] == layer + 1]
        _near(nodes, here, wanted, (layer + 1) * step, height)
    return Layout(nodes, boxes, depth * step, height)


def _height(column: Sequence[Edge]) -> float:
    groups = len({edge.output for edge in column})
    return len(column) * BOX[1] + max(0, len(column) - groups) * GAP + max(0, groups - 1) * GROUP_GAP


def _boxes(
    boxes: dict[tuple[int, int, int], tuple[float, float]], column: Sequence[Edge], x: float, height: float
) -> dict[int, float]:
    """Place a column of boxes from the top; return the middle of each node's group."""
    spare = height - _height(column)
    gaps = len(column) + 1
    # A short column is spread over the height, with gaps of at most three times their usual size.
    extra = min(spare / gaps, 3 * GAP + BOX[1]) if column else 0.0
    y = height - (spare - extra * (gaps - 2)) / 2
    middles: dict[int, list[float]] = {}
    before: Edge | None = None
    for edge in sorted(column, key=lambda e: (e.output, e.input)):
        if before is not None:
            y -= extra + (GAP if before.output == edge.output else GROUP_GAP)
        boxes[edge.layer, edge.input, edge.output] = (x, y - BOX[1] / 2)
        middles.setdefault(edge.output, []).append(y - BOX[1] / 2)
        y -= BOX[1]
        before = edge
    return {output: sum(ys) / len(ys) for output, ys in middles.items()}


def _one_each(column: Sequence[Edge]) -> bool:
    """Whether all edges go to one node, and no two edges leave the same node."""
    return len({edge.input for edge in column}) == len(column) and len({edge.output for edge in column}) == 1


def _align(
    nodes: dict[Node, tuple[float, float]],
    boxes: dict[tuple[int, int, int], tuple[float, float]],
    column: Sequence[Edge],
    layer: int,
) -> None:
    """Put nodes and boxes at the same height, so that the lines between them are horizontal."""
    for edge in column:
        node, box = (layer, edge.input), (layer, edge.input, edge.output)
        (x, y), (across, up) = nodes[node], boxes[box]
        if layer == 0:
            nodes[node] = (x, up)
        else:
            boxes[box] = (across, y)


def _even(nodes: dict[Node, tuple[float, float]], here: Sequence[Node], x: float, height: float) -> None:
    """Place nodes from top to bottom in even distances, as a column of boxes would lie."""
    for place, node in enumerate(here):
        nodes[node] = (x, height * (1 - (place + 0.5) / len(here)))


def _near(
    nodes: dict[Node, tuple[float, float]], here: Sequence[Node], wanted: dict[int, float], x: float, height: float
) -> None:
    """Place nodes beside their boxes, in their order, at least `NODE_GAP` apart."""
    above = height + NODE_GAP
    for place, node in enumerate(here):
        y = wanted.get(node[1], height * (1 - (place + 0.5) / len(here)))
        above = min(y, above - NODE_GAP)
        nodes[node] = (x, above)
    if here and (below := BOX[1] / 2 - nodes[here[-1]][1]) > 0:  # pushed out at the bottom
        for node in here:
            nodes[node] = (x, nodes[node][1] + below)
