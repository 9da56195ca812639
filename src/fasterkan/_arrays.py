"""Conversion of tables (tensors, arrays and lists) to tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor


def array_of(caller: str, name: str, values: Any) -> Tensor:
    """Return a tensor without its graph, or a new tensor from an array or a list of numbers.

    Raises:
        TypeError: the values are not real numbers, or the rows have different lengths.
    """
    if isinstance(values, Tensor):
        found = values.detach()
    else:
        try:
            array = np.asarray(values)
            own_numbers = array.dtype == object and array.ndim > 0  # Decimal, fractions
            if own_numbers or array.dtype == np.longdouble:
                array = array.astype(np.float64)
            found = torch.from_numpy(np.array(array, array.dtype.newbyteorder("="), order="C"))
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"{caller}: {name} must be a tensor or an array of numbers, got {type(values).__name__}"
            ) from error
    if found.is_complex():
        raise TypeError(f"{caller}: {name} is {found.dtype}; give real and imaginary part as two columns")
    return found
