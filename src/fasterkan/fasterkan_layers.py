"""The original's module of this name, which its scripts and pickles may ask for; see `fasterkan.fasterkan`."""

from __future__ import annotations

from .fasterkan import FasterKAN, FasterKANLayer, FasterKANvolver
from .fasterkan import __getattr__ as __getattr__

__all__ = ["FasterKAN", "FasterKANLayer", "FasterKANvolver"]
