"""Turning every accepted kind of data into batches of inputs and targets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..data import ImageDataset

_BATCH = 256  # rows per batch, if the data is not in batches already


def batches(data: Any, rows: int, model: nn.Module) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Yield (x, y or None), `rows` rows in all, on the model's device and in its dtype.

    From a tensor or an ImageDataset the rows are taken at even distances from first to last, because data is often
    sorted.

    Raises:
        TypeError: the data, or a batch of it, is not of an accepted kind.
        ValueError: x and y have different lengths.
    """
    like = next(model.parameters())
    left = rows
    for batch in _split(data, rows, model):
        x, y = _pair(batch)
        if left <= 0:
            return
        x, y = x[:left], None if y is None else y[:left]
        left -= len(x)
        if len(x):
            x = x.to(like.device, like.dtype) if x.is_floating_point() else x.to(like.device)
            yield x, None if y is None else y.to(like.device)


def _split(data: Any, rows: int, model: nn.Module) -> Iterable[Any]:
    if isinstance(data, ImageDataset):
        flat = not any(isinstance(module, nn.Conv2d) for module in model.modules())
        chosen = _spread(len(data), rows)
        part = ImageDataset(data.images[chosen], data.labels[chosen], data.classes)
        return zip(part.as_float(flat=flat).split(_BATCH), part.labels.split(_BATCH), strict=True)
    if isinstance(data, Tensor | np.ndarray):
        x = torch.as_tensor(data)
        if x.dim() == 0:
            raise TypeError("diagnose: data is a tensor without dimensions, expected rows [N, ...]")
        return x[_spread(len(x), rows)].split(_BATCH)
    if isinstance(data, tuple) and len(data) == 2 and all(isinstance(part, Tensor | np.ndarray) for part in data):
        x, y = _pair(data)
        assert y is not None
        chosen = _spread(len(x), rows)
        return zip(x[chosen].split(_BATCH), y[chosen].split(_BATCH), strict=True)
    if isinstance(data, str | Mapping) or not isinstance(data, Iterable):
        raise TypeError(
            "diagnose: data must be a tensor, a pair (x, y) of tensors, an iterable of batches or an ImageDataset, "
            f"got {type(data).__name__}"
        )
    return data


def _pair(batch: Any) -> tuple[Tensor, Tensor | None]:
    parts = batch if isinstance(batch, list | tuple) else (batch,)
    if not parts or not all(isinstance(part, Tensor | np.ndarray) for part in parts[:2]):
        kinds = ", ".join(type(part).__name__ for part in parts) or "nothing"
        raise TypeError(f"diagnose: a batch must be a tensor x, or (x, y) of tensors, got {kinds}")
    x, y = torch.as_tensor(parts[0]), torch.as_tensor(parts[1]) if len(parts) > 1 else None
    if x.dim() == 0 or (y is not None and (y.dim() == 0 or len(y) != len(x))):
        shapes = " and ".join(str(list(t.shape)) for t in (x, y) if t is not None)
        raise ValueError(f"diagnose: x and y of a batch must have the same number of rows, got {shapes}")
    return x, y


def _spread(count: int, rows: int) -> Tensor:
    """Indices of at most `rows` of `count` rows, at even distances."""
    wanted = min(count, rows)
    return torch.arange(wanted) * count // max(wanted, 1)
