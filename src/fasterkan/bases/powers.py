"""Powers of z without the constant, the basis of KANvolver, whose batch norms would remove a constant."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from .._check import whole_number
from ._base import Basis, Params


@dataclasses.dataclass(frozen=True)
class Powers(Basis):
    """Powers phi_k(z) = z^(k + 1) for k = 0 .. degree - 1: `Monomial(degree, domain=None)` without its constant.

    A constant before a batch norm has no effect, and its gradient consists of rounding errors only. Adam still makes
    full steps with this gradient, in the same direction for all inputs. The running mean of the batch norm cannot
    follow, and the results of `eval()` are wrong.

    Args:
        degree: the highest power, at least 1.

    Raises:
        TypeError, ValueError: an argument is outside its domain.

    Example:
        >>> Powers(degree=2).num_basis
        2
    """

    degree: int = 2

    def __post_init__(self) -> None:
        object.__setattr__(self, "degree", whole_number("Powers", "degree", self.degree, 1))

    @property
    def num_basis(self) -> int:
        return self.degree

    def init(
        self,
        in_features: int,
        out_features: int,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> dict[str, Tensor]:
        return {}

    def evaluate(self, z: Tensor, params: Params) -> Tensor:
        powers = [z]
        for _ in range(self.degree - 1):
            powers.append(powers[-1] * z)
        return torch.stack(powers, -1)

    def derivative(self, z: Tensor, params: Params) -> Tensor:
        slopes = [z * 0 + 1, *self.evaluate(z, params).unbind(-1)[:-1]]
        return torch.stack([k * slope for k, slope in enumerate(slopes, 1)], -1)

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
        parts = dphi.unbind(-1)
        dz = parts[-1] * (z * 0 + self.degree)  # Horner's rule for sum_k k dphi_k z^(k - 1); NaN where z is
        for k in range(self.degree - 1, 0, -1):
            dz = torch.addcmul(parts[k - 1] * k, dz, z)
        return dz, {}
