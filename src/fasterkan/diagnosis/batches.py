"""Turning every accepted kind of data into batches of inputs and targets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .._arrays import array_of, input_of, is_array, is_pair, parts_of
from ..data import ImageDataset

_BATCH = 256  # rows per batch, if the data is not in batches already


def batches(data: Any, rows: int, model: nn.Module) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Yield (x, y or None), `rows` rows in all, on the model's device and in its dtype.

    From arrays and an ImageDataset the rows are taken at even distances from first to last, because data is often
    sorted.

    Raises:
        TypeError: the data, or a batch of it, is not of an accepted kind.
        ValueError: x and y have different lengths.
    """
    device, left = next(model.parameters()).device, rows
    for batch in _split(data, rows, model):
        if left <= 0:
            return
        x, y = _pair(batch, model)
        x, y = x[:left], None if y is None else y[:left]
        left -= len(x)
        if len(x):
            yield x, None if y is None else y.to(device)


def _split(data: Any, rows: int, model: nn.Module) -> Iterable[Any]:
    if isinstance(data, ImageDataset):
        flat = not any(isinstance(module, nn.Conv2d) for module in model.modules())
        chosen = _spread(len(data), rows)
        part = ImageDataset(data.images[chosen], data.labels[chosen], data.classes)
        return zip(part.as_float(flat=flat).split(_BATCH), part.labels.split(_BATCH), strict=True)
    if is_pair(data) or (is_array(data) and not isinstance(data, tuple)):
        x, y = _pair(data, model)
        chosen = _spread(len(x), rows)
        parts = [part[chosen.to(part.device)].split(_BATCH) for part in (x, y) if part is not None]
        return zip(*parts, strict=True)
    if isinstance(data, str | Mapping) or not isinstance(data, Iterable):
        raise TypeError(
            "diagnose: data must be a tensor, a pair (x, y) of tensors, an iterable of batches or an ImageDataset, "
            f"got {type(data).__name__}"
        )
    return data


def _pair(batch: Any, model: nn.Module) -> tuple[Tensor, Tensor | None]:
    parts = parts_of(batch)
    if not parts or not all(is_array(part) for part in parts[:2]):
        kinds = ", ".join(type(part).__name__ for part in parts) or "nothing"
        raise TypeError(f"diagnose: a batch must be a tensor x, or (x, y) of tensors, got {kinds}")
    x = input_of("diagnose", "x", parts[0], model)
    y = array_of("diagnose", "y", parts[1]) if len(parts) > 1 else None
    if x.dim() == 0 or (y is not None and (y.dim() == 0 or len(y) != len(x))):
        shapes = " and ".join(str(list(t.shape)) for t in (x, y) if t is not None)
        raise ValueError(f"diagnose: x and y of a batch must have the same number of rows, got {shapes}")
    return x, y


def _spread(count: int, rows: int) -> Tensor:
    """Indices of at most `rows` of `count` rows, at even distances."""
    wanted = min(count, rows)
    return torch.arange(wanted, device="cpu") * count // max(wanted, 1)
