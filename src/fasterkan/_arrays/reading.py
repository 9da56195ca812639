"""Conversion of tensors, arrays, data frames and lists of numbers to tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from .frames import columns_of
from .kinds import is_container, leaf_types, refusal
from .numpy_arrays import from_numpy
from .tensors import from_tensor


def array_of(caller: str, name: str, values: Any, *, graph: bool = False) -> Tensor:
    """Return the numbers as a tensor: floating-point, int64 and smaller, or bool; missing values are NaN.

    Numbers keep their precision. Only what torch cannot compute with becomes float64, rounded to the nearest number:
    long double, Decimal, fractions, and whole numbers beyond int64. Missing values (a mask, NA, null, None) become NaN,
    and whole numbers with missing values become float64. Byte order, strides and memory maps do not matter.

    Args:
        caller: name of the public function, for the message.
        name: name of its argument, for the message.
        values: a tensor, a NumPy array, masked or not, whatever offers the array protocol (also columns and tables of
            pandas, polars and pyarrow), or lists of these or of numbers.
        graph: keep a tensor's graph; without it, the tensor is detached.

    Raises:
        TypeError: the values are not real numbers that can be taken as such (dates, durations, text, objects, named
            fields, complex numbers, sparse or quantised storage), or rows have different lengths.
    """
    if isinstance(values, Tensor):
        return from_tensor(caller, name, values, graph=graph)
    if isinstance(values, np.ndarray):
        return from_numpy(caller, name, values)
    if (columns := columns_of(values)) is not None:
        return _of_columns(caller, name, columns, len(values))
    if isinstance(values, list | tuple) and any(is_container(kind) for kind in leaf_types(values)):
        return _stacked(caller, name, [array_of(caller, name, part, graph=graph) for part in values])
    inside = f"{type(values).__name__} with " if isinstance(values, list | tuple) else ""
    try:
        array = np.asanyarray(values)  # a masked array that the protocol gives keeps its mask
    except ValueError as error:
        got = f"{inside}rows of different lengths" if inside else f"{type(values).__name__} ({error})"
        raise refusal(caller, name, got, "give every row the same number of columns") from error
    except (TypeError, OverflowError, RuntimeError, NotImplementedError) as error:
        raise refusal(caller, name, f"{type(values).__name__} ({error})") from error
    if array.dtype == object and array.ndim == 0:
        fix = next((f"give {name}.{way}()" for way in ("toarray", "collect") if hasattr(values, way)), "")
        raise refusal(caller, name, type(values).__name__, fix)
    return from_numpy(caller, name, array, inside)


def _of_columns(caller: str, name: str, columns: list[tuple[str, Any]], rows: int) -> Tensor:
    """The columns of a data frame side by side, [N, I]."""
    read = [array_of(caller, f"column {title!r} of {name}", column) for title, column in columns]
    for (title, _), column in zip(columns, read, strict=True):
        if column.dim() != 1:
            raise refusal(caller, f"column {title!r} of {name}", "an array in each row", "give one number in each row")
    if not read:
        return torch.empty(rows, 0, dtype=torch.float64, device="cpu")
    return _stacked(caller, name, read).T.contiguous()


def _stacked(caller: str, name: str, parts: list[Tensor]) -> Tensor:
    """Tensors of equal shape under each other, in a dtype that holds all their numbers."""
    if len({part.shape for part in parts}) > 1:
        shapes = sorted({str(list(part.shape)) for part in parts})
        raise refusal(caller, name, f"parts of different shapes ({', '.join(shapes)})", "give equal shapes")
    dtypes = {part.dtype for part in parts}
    if len(dtypes) == 1:
        dtype = dtypes.pop()
    elif not any(one.is_floating_point for one in dtypes):
        dtype = torch.int64
    else:
        dtype = torch.float32 if all(one.is_floating_point and one.itemsize <= 4 for one in dtypes) else torch.float64
    return torch.stack([part.to(parts[0].device, dtype) for part in parts])
