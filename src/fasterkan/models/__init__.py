"""Whole networks, and how they are saved and read."""

from .fasterkan import FasterKAN
from .kan import KAN
from .pretrained import CheckpointError, Pretrained, from_pretrained

__all__ = ["KAN", "CheckpointError", "FasterKAN", "Pretrained", "from_pretrained"]
