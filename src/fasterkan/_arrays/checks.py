"""Checks of tables that were read: finite numbers, also in the dtype of the network."""

from __future__ import annotations

import torch
from torch import Tensor


def check_finite(caller: str, name: str, values: Tensor, counting: Tensor | None = None) -> None:
    """Raise ValueError for the first number of values [N] or [N, I] that is NaN (or missing) or infinite.

    Args:
        caller: name of the public function, for the message.
        name: name of its argument, for the message.
        values: the numbers.
        counting: the rows that are looked at, booleans [N]; None for all.
    """
    infinite = ~torch.isfinite(values)
    if counting is not None:
        infinite &= counting.view(-1, *[1] * (values.dim() - 1))
    if not bool(infinite.any()):
        return
    first, *others = infinite.nonzero().tolist()
    place = ", ".join(f"{axis} {i}" for axis, i in zip(("row", "column", "place"), first, strict=False))
    value = float(values[tuple(first)])
    more = f" and {len(others)} more" if others else ""
    missing = ". Missing values are read as nan" if value != value else ""
    raise ValueError(
        f"{caller}: {name} is {value} in {place}{more} (counted from 0); remove or fill such rows{missing}"
    )


def rounded(caller: str, name: str, values: Tensor, dtype: torch.dtype, counting: Tensor | None = None) -> Tensor:
    """Return finite values rounded to a network's dtype; arguments and ValueError as in `check_finite`."""
    check_finite(caller, name, values, counting)
    found = values.to(dtype)
    check_finite(caller, f"{name} in {dtype}", found, counting)
    return found
