"""Random values of parameters, drawn on the device of the generator; a generator draws on its own device only."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


def uniform_(tensor: Tensor, bound: float, generator: torch.Generator | None) -> None:
    """Fill with U(-bound, bound)."""
    _fill(tensor, lambda t: nn.init.uniform_(t, -bound, bound, generator), generator)


def normal_(tensor: Tensor, std: float, generator: torch.Generator | None) -> None:
    """Fill with N(0, std^2)."""
    _fill(tensor, lambda t: nn.init.normal_(t, std=std, generator=generator), generator)


def xavier_uniform_(tensor: Tensor, gain: float, generator: torch.Generator | None) -> None:
    """Fill as `torch.nn.init.xavier_uniform_` does."""
    _fill(tensor, lambda t: nn.init.xavier_uniform_(t, gain, generator), generator)


@torch.no_grad()
def _fill(tensor: Tensor, fill: Callable[[Tensor], Tensor], generator: torch.Generator | None) -> None:
    if generator is None or tensor.is_meta or generator.device == tensor.device:
        fill(tensor)
    else:
        tensor.copy_(fill(torch.empty_like(tensor, device=generator.device)))
