"""Whole networks, and how they are saved and read."""

from .fasterkan import FasterKAN
from .fasterkanvolver import FasterKANvolver
from .importing import import_checkpoint
from .kan import KAN
from .pretrained import CheckpointError, Pretrained, from_pretrained

__all__ = [
    "KAN",
    "CheckpointError",
    "FasterKAN",
    "FasterKANvolver",
    "Pretrained",
    "from_pretrained",
    "import_checkpoint",
]
