"""Import of checkpoints of other projects: they are checked, and the models compute the same."""

from .front import import_checkpoint

__all__ = ["import_checkpoint"]
