"""The moving average of a model's weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from .._torch import lerp_all_


class Average:
    """The exponential moving average of every floating-point tensor of a model, including statistics of batch norms.

    After step t (from 1) each average a is updated with its tensor w: a += (1 - d) (w - a), with d = min(decay, t / (t
    + 9)). The small d at the beginning makes the average forget the first steps. Other tensors are copied from the
    model.

    Args:
        model: the model to average. Its tensors must be changed in place.
        decay: largest d, 0 to 1.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self._live = model.state_dict()
        self.tensors = {name: tensor.clone() for name, tensor in self._live.items()}
        floating = [name for name, tensor in self._live.items() if tensor.is_floating_point()]
        self._pairs = [self.tensors[name] for name in floating], [self._live[name] for name in floating]
        self._others = [name for name in self._live if name not in floating]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Update the averages after step number `step`, from 1."""
        lerp_all_(*self._pairs, 1 - min(self.decay, step / (step + 9)))
        self._copy(self._live, self.tensors, self._others)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Put the averages into the model, and at the end its own tensors again, bit for bit."""
        own = {name: tensor.clone() for name, tensor in self._live.items()}
        try:
            self._copy(self.tensors, self._live)
            yield
        finally:
            self._copy(own, self._live)

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Load saved averages."""
        self._copy(tensors, self.tensors)

    @staticmethod
    @torch.no_grad()
    def _copy(source: dict[str, Tensor], target: dict[str, Tensor], names: list[str] | None = None) -> None:
        for name in source if names is None else names:
            target[name].copy_(source[name])
