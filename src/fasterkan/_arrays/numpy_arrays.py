"""NumPy arrays of any type, byte order and strides as tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from .kinds import is_missing, is_number, refusal

_REFUSED = {
    "M": ("dates", "give numbers, such as the days since the first date: ({0} - {0}.min()) / np.timedelta64(1, 'D')"),
    "m": ("durations", "give numbers: {0} / np.timedelta64(1, 's') are seconds"),
    "S": ("text", "give numbers only"),
    "U": ("text", "give numbers only"),
    "T": ("text", "give numbers only"),
}
"""By the kind of the dtype: what such an array holds, and what to give instead."""


def from_numpy(caller: str, name: str, array: np.ndarray[Any, Any], inside: str = "") -> Tensor:
    """Return a new tensor with the numbers of an array; arguments and errors as in `array_of`.

    Args:
        caller: as in `array_of`.
        name: as in `array_of`.
        array: the array.
        inside: what the array was made of, for the message, such as "list with ".
    """
    dtype = array.dtype
    if dtype.names is not None:
        fix = f"numpy.lib.recfunctions.structured_to_unstructured({name}) puts them side by side"
        raise refusal(caller, name, f"an array with named fields ({', '.join(dtype.names)})", fix)
    if dtype.kind in _REFUSED:
        what, fix = _REFUSED[dtype.kind]
        raise refusal(caller, name, f"{inside}{what} ({dtype})", fix.format(name))
    if dtype.kind == "c":
        raise TypeError(f"{caller}: {name} is {dtype}; give real and imaginary part as two columns")
    if dtype.kind == "V" and not np.can_cast(dtype, np.float64):
        raise refusal(caller, name, f"bytes without a type of number ({dtype})", "give numbers only")
    plain, mask = _parts(array)
    if dtype.kind == "O":
        plain = _numbers(caller, name, plain, inside)
    elif dtype.kind == "V" or (dtype.kind == "f" and dtype.itemsize > 8):
        with np.errstate(over="ignore"):  # long double beyond float64 is infinite, which is refused where it is used
            plain = plain.astype(np.float64)
    if plain.dtype.kind == "u" and plain.dtype.itemsize > 1:
        large = plain.dtype.itemsize == 8 and plain.size and plain.max() >= 2**63
        plain = plain.astype(np.float64 if large else np.int64)
    if mask is not None and mask.any():
        plain = plain.astype(np.promote_types(plain.dtype, np.float16) if plain.dtype.kind == "f" else np.float64)
        plain[mask] = np.nan
    return torch.from_numpy(np.array(plain, plain.dtype.newbyteorder("="), order="C"))


def _parts(array: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any] | None]:
    """The plain array, and which values its mask declares invalid; a mask is that of NumPy, or an attribute."""
    if isinstance(array, np.ma.MaskedArray):
        return np.ma.getdata(array), np.ma.getmaskarray(array)
    mask = getattr(array, "mask", None)
    plain = np.asarray(getattr(array, "unmasked", array)) if isinstance(mask, np.ndarray) else np.asarray(array)
    return plain, mask if isinstance(mask, np.ndarray) else None


def _numbers(caller: str, name: str, array: np.ndarray[Any, Any], inside: str) -> np.ndarray[Any, Any]:
    """The numbers of an array of objects: whole ones as int64 if they are all whole and fit, else float64."""
    flat = array.ravel().tolist()
    kinds = set(map(type, flat))
    if odd := {kind for kind in kinds if not is_number(kind) and not is_missing(kind)}:
        index, value = next((i, v) for i, v in enumerate(flat) if type(v) in odd)
        place = ", ".join(map(str, np.unravel_index(index, array.shape)))
        got = f"{inside}{type(value).__name__} ({str(value)[:40]!r} at [{place}])"
        raise refusal(caller, name, got, "give real numbers only")
    if kinds and all(issubclass(kind, bool | np.bool_) for kind in kinds):
        return np.array(flat, dtype=bool).reshape(array.shape)
    try:
        if all(issubclass(kind, int | np.integer | np.bool_) for kind in kinds) and kinds:
            try:
                return np.array(flat, dtype=np.int64).reshape(array.shape)
            except OverflowError:
                pass  # whole numbers beyond int64 become float64
        found = [np.nan if is_missing(type(value)) else float(value) for value in flat]
    except (ArithmeticError, ValueError) as error:
        raise refusal(caller, name, f"{inside}a number beyond float64 ({error})", "give numbers below 1e308") from error
    return np.array(found, dtype=np.float64).reshape(array.shape)
