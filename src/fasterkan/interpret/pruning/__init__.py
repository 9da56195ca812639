"""Pruning: the search for unimportant parts of a network, the smaller network, and the report."""

from .prune_network import prune
from .report import PruneReport, size_of

__all__ = ["PruneReport", "prune", "size_of"]
