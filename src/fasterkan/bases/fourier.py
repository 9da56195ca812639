"""Fourier series, the basis of FourierKAN."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

import torch
from torch import Tensor

from .._check import whole_number
from ._base import Params
from ._nested import _Nested


@dataclasses.dataclass(frozen=True)
class Fourier(_Nested):
    """Waves cos(k z) and sin(k z) for k = 1 .. num_frequencies, in the order cos z, sin z, cos 2z, sin 2z, ...

    K = 2 num_frequencies. There is no constant function, because the layer has a bias. Only cos z and sin z are
    computed directly. The others follow from the addition formulas. The values are therefore finite, with an error of
    about k rounding errors, even for a large k z, where computing cos(k z) directly would lose digits.

    Args:
        num_frequencies: the highest frequency, at least 1.

    Raises:
        TypeError, ValueError: an argument is outside its domain.

    Source: GistNoesis, FourierKAN (2024), whose gridsize is num_frequencies. Its weights [2, O, I, gridsize] have all
    cosines first.

    Example:
        >>> Fourier(num_frequencies=5).num_basis
        10
    """

    num_frequencies: int = 5

    _count: ClassVar[str] = "num_frequencies"

    def __post_init__(self) -> None:
        count = whole_number("Fourier", "num_frequencies", self.num_frequencies, 1)
        object.__setattr__(self, "num_frequencies", count)

    @property
    def num_basis(self) -> int:
        return 2 * self.num_frequencies

    @property
    def grid_range(self) -> tuple[float, float]:
        return (-math.pi, math.pi)

    def init(
        self,
        in_features: int,
        out_features: int,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> dict[str, Tensor]:
        return {}

    def evaluate(self, z: Tensor, params: Params) -> Tensor:
        cos, sin = torch.cos(z), torch.sin(z)
        waves = [(cos, sin)]
        for _ in range(1, self.num_frequencies):
            c, s = waves[-1]
            waves.append((c * cos - s * sin, s * cos + c * sin))
        return torch.stack([wave for pair in waves for wave in pair], -1)

    def derivative(self, z: Tensor, params: Params) -> Tensor:
        cos, sin = self.evaluate(z, params).unflatten(-1, (self.num_frequencies, 2)).unbind(-1)
        k = torch.arange(1, self.num_frequencies + 1, dtype=z.dtype, device=z.device)
        return torch.stack([-k * sin, k * cos], -1).flatten(-2)

    def evaluate_for_vjp(self, z: Tensor, params: Params) -> tuple[Tensor, tuple[Tensor, ...]]:
        phi = z.new_empty(*z.shape, self.num_basis)
        places = phi.unbind(-1)
        cos, sin = torch.cos(z), torch.sin(z)
        c, s = cos.clone(), sin.clone()
        next_c, next_s = torch.empty_like(c), torch.empty_like(s)
        for k in range(self.num_frequencies):
            if k:
                torch.mul(c, cos, out=next_c).addcmul_(s, sin, value=-1)
                torch.mul(s, cos, out=next_s).addcmul_(c, sin)
                c, s, next_c, next_s = next_c, next_s, c, s
            places[2 * k].copy_(c)
            places[2 * k + 1].copy_(s)
        return phi, ()

    def vjp(
        self,
        z: Tensor,
        params: Params,
        phi: Tensor,
        saved: tuple[Tensor, ...],
        dphi: Tensor,
        wrt: frozenset[str],
    ) -> tuple[Tensor | None, dict[str, Tensor]]:
        if "z" not in wrt:
            return None, {}
        waves, grads, dz = phi.unbind(-1), dphi.unbind(-1), torch.zeros_like(z)
        for k in range(self.num_frequencies):
            c, s = 2 * k, 2 * k + 1
            dz.addcmul_(grads[s], waves[c], value=k + 1).addcmul_(grads[c], waves[s], value=-k - 1)
        return dz, {}
