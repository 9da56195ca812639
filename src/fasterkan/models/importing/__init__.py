"""Checkpoints of other projects as models of this one: checked, and equal in what they compute."""

from .front import import_checkpoint

__all__ = ["import_checkpoint"]
