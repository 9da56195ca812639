"""Pictures of networks, edges, importances and training: each function returns a matplotlib Figure.

Nothing here touches pyplot: `figure.savefig("net.png")` or `"net.svg"` writes a file, and a notebook shows the figure.
They need matplotlib: `pip install "fasterkan[plot]"`.
"""

from .edge_picture import edge
from .importance_picture import importance
from .network_picture import network
from .training_picture import training

__all__ = ["edge", "importance", "network", "training"]
