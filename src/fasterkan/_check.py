"""Checks of arguments, shared by the whole library: each raises one message that names what was got and the fix."""

from __future__ import annotations

import difflib
import math
import numbers
from collections.abc import Iterable
from itertools import pairwise
from typing import Any


def whole_number(owner: str, name: str, value: Any, minimum: int) -> int:
    """Return `value` as an int of at least `minimum`.

    Raises:
        TypeError: it is not a whole number (booleans and strings are not).
        ValueError: it is smaller than `minimum`.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{owner}: {name} must be a whole number, got {value!r} ({type(value).__name__})")
    if value < minimum:
        raise ValueError(f"{owner}: {name} must be at least {minimum}, got {value}")
    return int(value)


def real_number(owner: str, name: str, value: Any) -> float:
    """Return `value` as a finite float.

    Raises:
        TypeError: it is not a real number (booleans and strings are not).
        ValueError: it is NaN or infinite.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{owner}: {name} must be a number, got {value!r} ({type(value).__name__})")
    if not math.isfinite(value):
        raise ValueError(f"{owner}: {name} must be finite, got {value}")
    return float(value)


def positive_number(owner: str, name: str, value: Any) -> float:
    """Return `value` as a finite float above 0; raises as `real_number`, and ValueError for 0 and below."""
    number = real_number(owner, name, value)
    if number <= 0:
        raise ValueError(f"{owner}: {name} must be above 0, got {value}")
    return number


def increasing(owner: str, name: str, values: Any) -> tuple[float, ...]:
    """Return two or more finite floats, each above the one before; raises TypeError or ValueError."""
    if isinstance(values, str) or not hasattr(values, "__iter__"):
        raise TypeError(f"{owner}: {name} must be a sequence of numbers, got {values!r}")
    numbers_ = tuple(real_number(owner, f"{name}[{i}]", v) for i, v in enumerate(values))
    if len(numbers_) < 2:
        raise ValueError(f"{owner}: {name} needs at least two numbers, got {numbers_}")
    if any(b <= a for a, b in pairwise(numbers_)):
        raise ValueError(f"{owner}: {name} must increase from left to right, got {numbers_}")
    return numbers_


def did_you_mean(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Return "did you mean 'x'? " with the known name that is most similar, or "" if none is similar.

    Args:
        name: the unknown name.
        known: the names to compare with; upper and lower case are the same.
        cutoff: the least similarity, 0 to 1, as in `difflib.get_close_matches`.
    """
    spelled = {one.lower(): one for one in known}
    near = difflib.get_close_matches(name.lower(), spelled, n=1, cutoff=cutoff)
    return f"did you mean {spelled[near[0]]!r}? " if near else ""
