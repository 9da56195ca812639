"""Initialisation that keeps the size of activations and gradients, computed for each basis by quadrature."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor, nn

from .._device import exact_on_cpu
from ..bases import RSWAF, Basis
from .draw import normal_

_NODES = 2001
_STARTING = 8


@dataclasses.dataclass(frozen=True)
class Distribution:
    """The distribution of z at initialisation: normal(center, width^2), or uniform on center +- width."""

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
def starting_functions(basis: Basis) -> Tensor | None:
    """Return weights [K, 8] of the eight smooth initial functions; None if the initial functions are the phi_k.

    Independent weights on a fine grid give a rough function. Its variance can be 1 for every K, but E f'^2 grows as
    K^2. The gradients grow with it, and so does the error of the function between the data. Ordered families
    (`Basis.sites`) with more than eight functions therefore start from the eight bumps of RSWAF(8) over the same range,
    fitted in the basis.

    E f'^2 for E f^2 = 1 and z uniform over a range of width 2, with independent weights, at K = 8, 32, 128: RSWAF 6.5,
    132, 2235; cubic B-splines 8.7, 292, 5433; Gaussians 11.9, 239, 4025; hats 36.7, 721, 12097. With the eight bumps it
    is 6.5 to 8 for each of them above K = 8.
    """
    params = basis.init(1, 1, "cpu", torch.float64)
    if basis.num_basis <= _STARTING or basis.per_edge or basis.sites(params) is None:
        return None
    smooth = RSWAF(_STARTING, basis.grid_range)
    nodes = torch.linspace(*basis.grid_range, 8 * basis.num_basis + 1, dtype=torch.float64, device="cpu").unsqueeze(-1)
    eye = torch.eye(_STARTING, dtype=torch.float64, device="cpu").unsqueeze(1)  # [8, 1, 8]
    bumps = smooth.init(1, 1, "cpu", torch.float64)
    return smooth.refit(bumps, eye, nodes, basis, params, nodes)[0].squeeze(1).T


@lru_cache(maxsize=256)
def second_moments(basis: Basis, z: Distribution) -> tuple[float, float]:
    """Return (sum_j E f_j(z)^2, sum_j E f_j'(z)^2) for the basis at initialisation.

    f_j are the initial functions of the edges: the phi_k, or fewer and smoother ones (`starting_functions`).
    """
    nodes, weights = z.nodes()
    params = basis.init(1, 1, "cpu", torch.float64)
    with torch.no_grad():
        phi = basis.evaluate(nodes.unsqueeze(-1), params).flatten(1)  # [S, K]
        slope = basis.derivative(nodes.unsqueeze(-1), params).flatten(1)
    if (start := starting_functions(basis)) is not None:
        phi, slope = phi @ start, slope @ start
    value, gradient = (float((weights @ f.square()).sum()) for f in (phi, slope))
    if not (value > 0 and math.isfinite(value)):
        raise ValueError(
            f"{basis}: the functions vanish where the norm puts the data ({z}); move grid_range to the data"
        )
    return value, gradient


def weight_std(basis: Basis, in_features: int, z: Distribution) -> float:
    """Return the standard deviation of W for which y = sum_ij W f_j(z_i) has variance 1: (I sum_j E f_j^2)^-1/2."""
    return (in_features * second_moments(basis, z)[0]) ** -0.5


def draw_weights(
    weight: Tensor,
    basis: Basis,
    in_features: int,
    z: Distribution,
    *,
    share: float = 1.0,
    dim: int = -1,
    generator: torch.Generator | None = None,
) -> None:
    """Draw the weights of a layer in place: smooth functions, and outputs with standard deviation `share`.

    Args:
        weight: W, with the K functions in dimension `dim`.
        basis: the functions.
        in_features: number of inputs of an output (times the positions of a kernel).
        z: distribution of the inputs after the norm.
        share: standard deviation of the output.
        dim: the dimension of K.
        generator: draws the random numbers.
    """
    std = share * weight_std(basis, in_features, z)
    start = starting_functions(basis)
    if start is None:
        normal_(weight, std, generator)
        return
    with torch.no_grad():
        view = weight.movedim(dim, -1)
        drawn = torch.empty(*view.shape[:-1], start.shape[-1], device=weight.device, dtype=weight.dtype)
        normal_(drawn, std, generator)
        view.copy_(drawn @ start.T.to(weight.device, weight.dtype))


@lru_cache(maxsize=256)
def critical_gain(basis: Basis) -> float:
    """Return the gain g of a row norm at which gradients keep their size through a layer.

    With z ~ N(0, g^2) and weights as in `weight_std`, each layer multiplies the variance of gradients by
    g^2 sum_k E phi_k'(z)^2 / sum_k E phi_k(z)^2, which grows with g. g is the gain for which this factor is 1, found by
    bisection in [0.01, 10].
    For grids much finer than the default this g is so small that most functions would never see an input. Then g is a
    sixth of the width of grid_range, so that z = +-3 g spans it, and gradients do grow from layer to layer.
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
        moment = 0.0 if y.is_meta else float(weights @ exact_on_cpu(y).square().mean(-1))
    return (in_features * moment) ** -0.5 if moment > 0 and math.isfinite(moment) else in_features**-0.5
