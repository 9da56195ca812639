"""Pictures of networks, edges, importances and training: each function returns a matplotlib Figure.

Nothing here touches pyplot: `figure.savefig("net.png")` or `"net.svg"` writes a file, and a notebook shows the figure.
They need matplotlib: `pip install "fasterkan[plot]"`.
"""

from .edge import edge
from .importance import importance
from .network import network
from .training import training

__all__ = ["edge", "importance", "network", "training"]
