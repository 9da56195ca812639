"""Formatting of numbers."""

from __future__ import annotations


def percent(share: float) -> str:
    """Return a share (0 to 1) in percent, such as "98.97 %"."""
    return f"{100 * share:.2f} %"
