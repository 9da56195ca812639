"""Looking inside a network: its edges, what matters, what can go, and pictures of it."""

from ..models import KAN
from . import plot
from .auto_width import Widths, auto_width
from .bands import bands
from .bootstrap import bootstrap_bands
from .derivatives import derivatives
from .edge import Edge
from .edges import edges
from .importance import Importance, importance
from .prune import prune
from .prune_report import PruneReport, size_of

KAN.edges = edges

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
