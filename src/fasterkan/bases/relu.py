"""Bumps made of two ReLUs, the basis of ReLU-KAN."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

import torch
from torch import Tensor

from .._check import increasing, whole_number
from .._device import exact_on_cpu
from ._base import Basis, Params
from ._grid import continued, subdivided


@dataclasses.dataclass(frozen=True)
class ReLUBump(Basis):
    """Bumps phi_k(z) = (relu(e_k - z) relu(z - s_k))^2 16 / (e_k - s_k)^4: 1 in the middle of [s_k, e_k], 0 outside.

    d is the spacing of the grid, s_k = first + (k - width) d and e_k = s_k + (width + 1) d for k = 0 .. K - 1. At each
    point of the grid range, width + 1 bumps overlap. K = grid_size + width.

    The bumps are evaluated as (4 t (1 - t))^2, where t is (z - s) / (e - s) clamped to [0, 1]. There is no power of z,
    so nothing overflows. The slope is continuous, and the second derivative jumps at s and e. If training moves e to s
    or below, the function and its gradients are 0.

    Args:
        grid_size: number of intervals G of the grid, at least 1. The authors call it g.
        width: number of intervals that a bump covers besides its own, at least 1. The authors call it k.
        grid_range: first and last point of the grid, in units of z.
        train: learn s and e, as in the paper.

    Tensors: `start` s [I, K] and `end` e [I, K].

    Raises:
        TypeError, ValueError: an argument is outside its domain.

    Source: Q. Qiu et al., ReLU-KAN (arXiv 2406.02075), equation 6. Limits at +-inf: phi = 0, all derivatives 0.

    Example:
        >>> ReLUBump(grid_size=5, width=3).num_basis
        8
    """

    grid_size: int = 5
    width: int = 3
    grid_range: tuple[float, float] = (0.0, 1.0)
    train: bool = False

    support: ClassVar[Literal["global", "compact"]] = "compact"

    def __post_init__(self) -> None:
        for name in ("grid_size", "width"):
            object.__setattr__(self, name, whole_number("ReLUBump", name, getattr(self, name), 1))
        ends = increasing("ReLUBump", "grid_range", self.grid_range)
        if len(ends) != 2:
            raise ValueError(f"ReLUBump: grid_range must be two numbers (first, last), got {ends}")
        object.__setattr__(self, "grid_range", ends)
        if not isinstance(self.train, bool):
            raise TypeError(f"ReLUBump: train must be True or False, got {self.train!r}")

    @property
    def num_basis(self) -> int:
        return self.grid_size + self.width

    @property
    def trainable(self) -> frozenset[str]:
        return frozenset(("start", "end") if self.train else ())

    def init(
        self,
        in_features: int,
        out_features: int,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> dict[str, Tensor]:
        grid = torch.linspace(*self.grid_range, self.grid_size + 1, device=device, dtype=dtype)
        return self._bumps(grid.expand(in_features, -1))

    def evaluate(self, z: Tensor, params: Params) -> Tensor:
        t = _position(z, params)
        return (4 * t * (1 - t)).square()

    def derivative(self, z: Tensor, params: Params) -> Tensor:
        t = _position(z, params)
        return 32 * t * (1 - t) * (1 - 2 * t) * _rate(params)

    def local(self, z: Tensor, params: Params) -> tuple[Tensor, Tensor, Tensor] | None:
        if self.train:  # learned starts and ends may overlap in any number
            return None
        reach = self.width + 1
        points = torch.cat([params["start"], params["end"][..., -reach:]], -1).expand(z.shape[-1], -1)  # [I, K + reach]
        cell = (z.detach().unsqueeze(-1) >= points).sum(-1) - 1
        offsets = torch.arange(-self.width, 1, device=z.device)
        index = (cell.unsqueeze(-1) + offsets).remainder(self.num_basis)  # a bump that is not there: another, 0 here
        feature = torch.arange(z.shape[-1], device=z.device).unsqueeze(-1)
        start, rate = (t.expand(z.shape[-1], -1)[feature, index] for t in (params["start"], _rate(params)))
        t = ((_cut(z).unsqueeze(-1) - start) * rate).clamp(0, 1)
        return index, (4 * t * (1 - t)).square(), 32 * t * (1 - t) * (1 - 2 * t) * rate

    def evaluate_for_vjp(self, z: Tensor, params: Params) -> tuple[Tensor, tuple[Tensor, ...]]:
        s = _cut(z).unsqueeze(-1).sub(params["start"]).mul_(-2 * _rate(params)).add_(1).clamp_(-1, 1)  # 1 - 2 t
        v = torch.addcmul(s.new_ones(()), s, s, value=-1)  # 4 t (1 - t)
        return v.square(), (v, s)

    def vjp(
        self,
        z: Tensor,
        params: Params,
        phi: Tensor,
        saved: tuple[Tensor, ...],
        dphi: Tensor,
        wrt: frozenset[str],
    ) -> tuple[Tensor | None, dict[str, Tensor]]:
        (v, s), rate = saved, _rate(params)
        # dphi/dt = 8 v s, 0 where t is clamped; dt/dz = r, dt/ds = (t - 1) r, dt/de = -t r.
        slope = dphi.mul_(v).mul_(s)
        dz = (slope * (8 * rate)).sum(-1) if "z" in wrt else None
        if not self.trainable & wrt:
            return dz, {}
        both = slope.flatten(0, -3).sum(0)  # [I, K]
        difference = slope.mul_(s).flatten(0, -3).sum(0)  # times 1 - 2 t
        whole, later = both * (8 * rate), (both - difference) * (4 * rate)
        return dz, {name: g for name, g in (("start", later - whole), ("end", -later)) if name in wrt}

    def sites(self, params: Params) -> Tensor:
        return (params["start"] + params["end"]) / 2

    def grid_of(self, params: Params) -> Tensor:
        last = self.grid_size - 1
        return torch.cat([params["start"][..., self.width :], params["end"][..., last : last + 1]], -1)  # [I, G + 1]

    def grid_to(self, params: Params, grid: Tensor) -> tuple[ReLUBump, dict[str, Tensor]]:
        return self, self._bumps(grid)

    def refine(self, num: int) -> ReLUBump:
        """Return the basis with `num` intervals on the same range; refitted functions are approximations.

        Raises:
            TypeError, ValueError: `num` is not a whole number, or is smaller than the present grid_size.
        """
        return dataclasses.replace(self, grid_size=whole_number("ReLUBump.refine", "grid_size", num, self.grid_size))

    def refined(
        self, params: Params, num: int, in_features: int, out_features: int
    ) -> tuple[ReLUBump, dict[str, Tensor]]:
        new, grid = self.refine(num), exact_on_cpu(self.grid_of(params).detach())
        return new, new._bumps(subdivided(grid, num + 1))

    def fold(self, params: Params, center: Tensor, scale: Tensor) -> tuple[ReLUBump, dict[str, Tensor]]:
        return self, {k: t / scale.unsqueeze(-1) + center.unsqueeze(-1) for k, t in params.items()}

    def _bumps(self, grid: Tensor) -> dict[str, Tensor]:
        """The tensors for a grid [I, G + 1], continued beyond its ends."""
        points, reach = continued(grid, self.width), self.width + 1  # [I, G + 1 + 2 width]
        return {"start": points[..., :-reach].clone(), "end": points[..., reach:].clone()}


def _rate(params: Params) -> Tensor:
    """1 / (e - s), or 0 if e is not above s."""
    length = params["end"] - params["start"]
    open_ = length > 0
    return torch.where(open_, 1 / torch.where(open_, length, 1), 0)


def _position(z: Tensor, params: Params) -> Tensor:
    """t [..., I, K]: 0 up to the start, 1 from the end on."""
    return ((_cut(z).unsqueeze(-1) - params["start"]) * _rate(params)).clamp(0, 1)


def _cut(z: Tensor) -> Tensor:
    """z, clamped to a range in which no gradient is 0 * inf."""
    limit = torch.finfo(z.dtype).max ** 0.5
    return z.clamp(-limit, limit)
