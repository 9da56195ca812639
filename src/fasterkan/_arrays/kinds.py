"""What stands in lists and arrays of objects, and the message for what is no number."""

from __future__ import annotations

import numbers
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import numpy as np
from torch import Tensor


def refusal(caller: str, name: str, got: str, fix: str = "") -> TypeError:
    """Return the error for values that are not numbers."""
    expected = f"{caller}: {name} must be a tensor or an array of numbers, got {got}"
    return TypeError(f"{expected}; {fix}" if fix else expected)


def leaf_types(values: Iterable[Any]) -> set[type]:
    """Return the types of everything in nested lists and tuples."""
    found = set(map(type, values))
    if any(issubclass(kind, list | tuple) for kind in found):
        for part in values:
            if isinstance(part, list | tuple):
                found |= leaf_types(part)
    return {kind for kind in found if not issubclass(kind, list | tuple)}


def is_container(kind: type) -> bool:
    """Return whether objects of this type hold numbers in an array of their own."""
    if issubclass(kind, np.generic):
        return False
    return issubclass(kind, Tensor | np.ndarray) or any(hasattr(kind, way) for way in ("__array__", "toarray"))


def is_number(kind: type) -> bool:
    """Return whether objects of this type are real numbers; durations of NumPy, which count as whole ones, are not."""
    return issubclass(kind, numbers.Real | Decimal | np.bool_) and not issubclass(kind, np.timedelta64)


def is_missing(kind: type) -> bool:
    """Return whether objects of this type stand for a missing value: None, or NA of pandas."""
    return kind is type(None) or (kind.__name__ == "NAType" and kind.__module__.partition(".")[0] == "pandas")
