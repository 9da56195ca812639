"""Data that may be one array or batches, and inputs for a model."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .._device import moved
from .kinds import is_container, leaf_types
from .reading import array_of


def is_array(values: Any) -> bool:
    """Return whether values are one array: a tensor, an array, a table, or nested lists of numbers.

    A list that holds tensors or arrays is not: it is a list of batches.
    """
    if isinstance(values, list | tuple):
        kinds = leaf_types(values)
        return bool(kinds) and not any(is_container(kind) or hasattr(kind, "__iter__") for kind in kinds)
    return is_container(type(values))


def is_pair(values: Any) -> bool:
    """Return whether values are a pair (x, y) of two arrays: a tuple of two, not a list."""
    return isinstance(values, tuple) and len(values) == 2 and all(is_array(part) for part in values)


def parts_of(batch: Any) -> tuple[Any, ...]:
    """Return the parts of a batch: (x,) for one array, (x, y, ...) for a tuple or a list of arrays."""
    if isinstance(batch, tuple) or (isinstance(batch, list) and not is_array(batch)):
        return tuple(batch)
    return (batch,)


def input_of(caller: str, name: str, values: Any, model: nn.Module, *, graph: bool = False) -> Tensor:
    """Return the input for a model, on the device and in the dtype of its parameters.

    Whole numbers keep their dtype if the model has an `nn.Embedding`, to which they are indices.

    Raises:
        TypeError: as in `array_of`.
    """
    x = array_of(caller, name, values, graph=graph)
    like = next(model.parameters(), None)
    device = x.device if like is None else like.device
    if x.is_floating_point():
        return moved(x, device, x.dtype if like is None else like.dtype)
    if any(isinstance(module, nn.Embedding | nn.EmbeddingBag) for module in model.modules()):
        return x.to(device)
    return moved(x, device, torch.get_default_dtype() if like is None else like.dtype)
