"""Interpret a network: its edges, what is important, what can be removed, and pictures."""

from . import plot
from .bootstrap import bootstrap_bands
from .differentiation import derivatives
from .edge import Edge
from .edge_list import edges
from .importance_result import Cancelling, Importance
from .importances import importance
from .intervals import Interval, derivative_interval, predict_interval
from .pruning.prune_network import prune
from .pruning.report import PruneReport, size_of
from .uncertainty import bands
from .widths import Widths, auto_width

__all__ = [
    "Cancelling",
    "Edge",
    "Importance",
    "Interval",
    "PruneReport",
    "Widths",
    "auto_width",
    "bands",
    "bootstrap_bands",
    "derivative_interval",
    "derivatives",
    "edges",
    "importance",
    "plot",
    "predict_interval",
    "prune",
    "size_of",
]
