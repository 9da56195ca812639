"""Interpret a network: its edges, what is important, what can be removed, and pictures."""

from . import plot
from .bootstrap import bootstrap_bands
from .differentiation import derivatives
from .edge import Edge
from .edge_list import edges
from .importances import Importance, importance
from .pruning.prune_network import prune
from .pruning.report import PruneReport, size_of
from .uncertainty import bands
from .widths import Widths, auto_width

__all__ = [
    "Edge",
    "Importance",
    "PruneReport",
    "Widths",
    "auto_width",
    "bands",
    "bootstrap_bands",
    "derivatives",
    "edges",
    "importance",
    "plot",
    "prune",
    "size_of",
]
