"""The names of a network's inputs and outputs in tables, pictures and reports."""

from __future__ import annotations

from collections.abc import Sequence

from ..nn import KANLinear


def input_names(first: KANLinear) -> tuple[str, ...]:
    """Return the names of the columns of X, by the first layer: the network's own, or else x1, x2, ..."""
    return first.input_names or tuple(f"x{i + 1}" for i in range(first.input_width))


def output_names(last: KANLinear) -> tuple[str, ...]:
    """Return the names of the outputs, by the last layer: the network's own, or else y1, y2, ..."""
    return last.output_names or tuple(f"y{o + 1}" for o in range(last.out_features))


def column_names(caller: str, names: Sequence[str] | None, own: Sequence[str]) -> list[str]:
    """Return the given names of columns, or the network's own.

    Raises:
        ValueError: the number of names is wrong.
    """
    if names is None:
        return list(own)
    found = [str(name) for name in names]
    if len(found) != len(own):
        raise ValueError(f"{caller}: {len(found)} names for {len(own)} columns: {found[:10]}")
    return found
