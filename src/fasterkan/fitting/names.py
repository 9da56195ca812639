"""Names of a network's inputs and outputs, from tables whose columns have names."""

from __future__ import annotations

from typing import Any

from torch import nn

from ..models import KAN
from ..nn import KANLinear


def name_after(net: nn.Module, X: Any, y: Any) -> None:
    """Name the inputs and outputs of a network after the columns of data frames; other tables change no names."""
    if not isinstance(net, KAN | KANLinear):
        return
    layers = net.kan_layers() if isinstance(net, KAN) else [net]
    inputs, outputs = _columns(X, layers[0].input_width), _columns(y, layers[-1].out_features)
    if inputs or outputs:
        net.set_names(inputs or net.input_names, outputs or net.output_names)


def _columns(table: Any, count: int) -> list[str] | None:
    """The names of a data frame's columns, or of a series; None if they are not `count` strings.

    An array of several columns may have one name for all of them, such as a data set in an HDF5 file.
    """
    columns = getattr(table, "columns", None)
    found: list[Any] = [getattr(table, "name", None)] if columns is None else list(columns)
    return found if len(found) == count and all(isinstance(name, str) for name in found) else None
