"""Initialisation that keeps the size of activations and gradients, worked out for the basis at hand by quadrature."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor, nn

from ..bases import Basis

_NODES = 2001


@dataclasses.dataclass(frozen=True)
class Distribution:
    """What z looks like at initialisation: normal(center, width^2), or uniform on center +- width."""

    center: float = 0.0
    width: float = 1.0
    uniform: bool = False

    def nodes(self) -> tuple[Tensor, Tensor]:
        """Return quadrature nodes [S] and weights [S] that sum to 1, float64; +-8 standard deviations for "normal"."""
        t = torch.linspace(-1, 1, _NODES, dtype=torch.float64, device="cpu") * (1 if self.uniform else 8)
        w = torch.ones_like(t) if self.uniform else torch.exp(-0.5 * t * t)
        w[[0, -1]] *= 0.5
        return self.center + self.width * t, w / w.sum()


STANDARD_NORMAL = Distribution()


@lru_cache(maxsize=256)
def second_moments(basis: Basis, z: Distribution) -> tuple[float, float]:
    """Return (sum_k E phi_k(z)^2, sum_k E phi_k'(z)^2) with the basis as it is at initialisation."""
    nodes, weights = z.nodes()
    params = basis.init(1, 1, "cpu", torch.float64)
    with torch.no_grad():
        phi = basis.evaluate(nodes.unsqueeze(-1), params).squeeze(-2)  # [S, K]
        slope = basis.derivative(nodes.unsqueeze(-1), params).squeeze(-2)
    value, gradient = (float((weights @ f.square()).sum()) for f in (phi, slope))
    if not (value > 0 and math.isfinite(value)):
        raise ValueError(f"{basis}: the functions vanish where the norm puts the data ({z}); move grid_range there")
    return value, gradient


def weight_std(basis: Basis, in_features: int, z: Distribution) -> float:
    """Return the standard deviation of W for which y = sum_ik W phi_k(z_i) has variance 1: (I sum_k E phi_k^2)^-1/2."""
    return (in_features * second_moments(basis, z)[0]) ** -0.5


@lru_cache(maxsize=256)
def critical_gain(basis: Basis) -> float:
    """Return the gain g of a row norm for which gradients keep their size through a layer, and the grid is in use.

    With z ~ N(0, g^2) and weights as `weight_std`, the variance of gradients is multiplied per layer by
    g^2 sum_k E phi_k'(z)^2 / sum_k E phi_k(z)^2, which grows with g; g is where it is 1, by bisection in [0.01, 10].
    For grids much finer than the default's that is so small that most functions would never see an input; then g is
    the sixth of grid_range at which z = +-3 g spans it, and gradients do grow from layer to layer.
    """

    def growth(gain: float) -> float:
        value, gradient = second_moments(basis, Distribution(width=gain))
        return gain * gain * gradient / value

    low, high = 0.01, 10.0
    for _ in range(60):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if growth(middle) < 1 else (low, middle)
    first, last = basis.grid_range
    return max(math.sqrt(low * high), (last - first) / 6)


def base_weight_std(base: Callable[[Tensor], Tensor], in_features: int) -> float:
    """Return the standard deviation of V for which the base branch V base(x), x ~ N(0, 1), has variance 1."""
    nodes, weights = STANDARD_NORMAL.nodes()
    own = next(base.parameters(), None) if isinstance(base, nn.Module) else None
    x = nodes.float() if own is None else nodes.to(own.device, own.dtype)
    with torch.no_grad():
        y = base(x.unsqueeze(-1).expand(-1, in_features))  # [S, I]
        moment = 0.0 if y.is_meta else float(weights @ y.cpu().double().square().mean(-1))
    return (in_features * moment) ** -0.5 if moment > 0 and math.isfinite(moment) else in_features**-0.5
