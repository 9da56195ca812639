"""Tensors of any storage as plain tensors."""

from __future__ import annotations

import torch
from torch import Tensor

from .._device import widest_dtype
from .kinds import refusal

_PLAIN = (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
_WIDE = (torch.uint16, torch.uint32)
"""Types with which torch can do little; int64 holds their numbers."""


def from_tensor(caller: str, name: str, values: Tensor, *, graph: bool) -> Tensor:
    """Return a tensor with its own numbers in a dtype that torch computes with; arguments as in `array_of`."""
    if values.is_complex():
        raise TypeError(f"{caller}: {name} is {values.dtype}; give real and imaginary part as two columns")
    if isinstance(values, torch.masked.MaskedTensor):
        held = from_tensor(caller, name, values.get_data(), graph=graph)
        valid = values.get_mask().to(held.device)
        return held if bool(valid.all()) else _floating(held).masked_fill(~valid, torch.nan)
    if values.is_nested:
        raise refusal(caller, name, "a nested tensor", "give rows of equal length")
    if values.layout != torch.strided:
        kind = "a sparse tensor" if "sparse" in str(values.layout) else "a tensor"
        raise refusal(caller, name, f"{kind} ({values.layout})", f"give {name}.to_dense()")
    if values.is_quantized:
        raise refusal(caller, name, f"a quantised tensor ({values.dtype})", f"give {name}.dequantize()")
    if values.is_meta:
        raise refusal(caller, name, "a tensor without values, on the meta device", "give one with values")
    values = values if graph and values.is_floating_point() else values.detach()
    if values.is_inference() and not torch.is_inference_mode_enabled():
        values = values.clone()  # such a tensor cannot be saved for a backward pass
    if values.is_floating_point():
        return values if values.dtype.itemsize > 1 else values.to(torch.float32)
    if values.dtype in _PLAIN:
        return values
    if values.dtype in _WIDE:
        return values.to(torch.int64)
    if values.dtype == torch.uint64:
        whole = values.to(torch.int64)  # numbers from 2^63 on turn negative
        return whole if bool((whole >= 0).all()) else values.to(widest_dtype(values.device))
    raise refusal(caller, name, f"a tensor of {values.dtype}", "convert it to another dtype")


def _floating(values: Tensor) -> Tensor:
    return values if values.is_floating_point() else values.to(widest_dtype(values.device))
