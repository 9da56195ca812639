"""The one reader of tables: tensors, arrays, data frames and lists become tensors, or are refused with one message."""

from __future__ import annotations

from .batches import input_of, is_array, is_pair, parts_of
from .checks import check_finite, rounded
from .reading import array_of
from .targets import as_targets

__all__ = ["array_of", "as_targets", "check_finite", "input_of", "is_array", "is_pair", "parts_of", "rounded"]
