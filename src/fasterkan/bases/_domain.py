"""Maps of z into [-1, 1], the domain of orthogonal polynomials, and a bound below which products stay finite."""

from __future__ import annotations

import difflib
from typing import Any, Literal

import torch
from torch import Tensor

Domain = Literal["tanh", "clamp"] | None

_KNOWN = ("tanh", "clamp")


def checked_domain(owner: str, value: Any) -> Domain:
    """Return `value` if it is the name of a map.

    Raises:
        ValueError: it is not. The message names the nearest one.
    """
    if value is None or value in _KNOWN:
        return value
    near = difflib.get_close_matches(str(value), [*_KNOWN, "None"], n=1)
    hint = f"; did you mean {near[0]!r}?".replace("'None'", "None") if near else ""
    raise ValueError(f'{owner}: domain must be "tanh", "clamp" or None, got {value!r}{hint}')


def to_domain(z: Tensor, domain: Domain) -> Tensor:
    """Return x: tanh(z), or z clamped to [-1, 1], or z itself."""
    return z if domain is None else torch.tanh(z) if domain == "tanh" else z.clamp(-1, 1)


def domain_slope(z: Tensor, x: Tensor, domain: Domain) -> Tensor:
    """Return dx/dz for x = to_domain(z); for "clamp" it is 1 from -1 to 1 and 0 outside. A NaN in z gives NaN."""
    if domain == "tanh":
        return 1 - x * x
    return x * 0 + 1 if domain is None else x * 0 + (z.abs() <= 1)


def bound(dtype: torch.dtype, power: int = 2) -> float:
    """Return the number whose `power`-th power is the largest number of `dtype`; for float32 and squares, 1.8e19."""
    return torch.finfo(dtype).max ** (1 / power)
