"""Gaussian radial basis functions, the basis of FastKAN and RBF-KAN."""

from __future__ import annotations

import dataclasses
from typing import Literal

import torch
from torch import Tensor

from .._check import positive_number
from ._base import Params
from ._centred import _Centred
from ._grid import continued, mean_distance, subdivided
from ._sums import total

_NAME = "Gaussian"


@dataclasses.dataclass(frozen=True)
class Gaussian(_Centred):
    """Bumps phi_k(z) = exp(-((z - u_k) / h)^2) around the centres u_k of a grid, with h = `denominator`.

    Args:
        num_grids: number of centres K, at least 2, including those beyond the ends of the grid.
        grid_range: first and last centre of the grid, in units of z (after the norm), without those beyond its ends.
        denominator: h, above 0. "auto" is the mean distance d of neighbouring centres, as in FastKAN.
        train_grid: learn the centres.
        train_denominator: learn h.
        grid: the centres, in increasing order. They then determine `num_grids` and `grid_range`.
        per_feature: one grid and one h for each input feature, instead of one for the layer.
        beyond: number of additional centres beyond each end of the grid. `refine` adds some. With them, the tails of
            wider bumps can be represented as exactly at the ends as inside.

    Tensors: `grid` [K] and `denominator` [1], or [I, K] and [I] if `per_feature`.

    Raises:
        TypeError, ValueError: an argument is outside its domain.

    Source: Z. Li, FastKAN (arXiv 2405.06721). Limits at +-inf: phi = 0, all derivatives 0.

    Example:
        >>> Gaussian(num_grids=5).num_basis
        5
    """

    num_grids: int = 8
    grid_range: tuple[float, float] = (-2.0, 2.0)
    denominator: float | Literal["auto"] = "auto"
    train_grid: bool = False
    train_denominator: bool = False
    grid: tuple[float, ...] | None = None
    per_feature: bool = False
    beyond: int = 0

    def __post_init__(self) -> None:
        self._check_grid()
        if self.denominator != "auto":
            if isinstance(self.denominator, str):
                raise ValueError(f'{_NAME}: denominator must be a number or "auto", got {self.denominator!r}')
            self._set("denominator", positive_number(_NAME, "denominator", self.denominator))
        for flag in ("train_grid", "train_denominator", "per_feature"):
            if not isinstance(getattr(self, flag), bool):
                raise TypeError(f"{_NAME}: {flag} must be True or False, got {getattr(self, flag)!r}")

    @property
    def trainable(self) -> frozenset[str]:
        learned = {"grid": self.train_grid, "denominator": self.train_denominator}
        return frozenset(name for name, on in learned.items() if on)

    def init(
        self,
        in_features: int,
        out_features: int,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> dict[str, Tensor]:
        grid = self._centres(device, dtype)
        width = self.spacing if self.denominator == "auto" else self.denominator
        denominator = torch.full((in_features if self.per_feature else 1,), width, device=device, dtype=grid.dtype)
        return {"grid": grid.repeat(in_features, 1) if self.per_feature else grid, "denominator": denominator}

    def evaluate(self, z: Tensor, params: Params) -> Tensor:
        a = (_bounded(z).unsqueeze(-1) - params["grid"]) / params["denominator"].unsqueeze(-1)  # [..., I, K]
        return torch.exp(-a * a)

    def derivative(self, z: Tensor, params: Params) -> Tensor:
        denominator = params["denominator"].unsqueeze(-1)
        a = (_bounded(z).unsqueeze(-1) - params["grid"]) / denominator
        return torch.exp(-a * a) * a * (-2 / denominator)

    def evaluate_for_vjp(self, z: Tensor, params: Params) -> tuple[Tensor, tuple[Tensor, ...]]:
        a = (_bounded(z).unsqueeze(-1) - params["grid"]).mul_(_inverse(params))  # [..., I, K]
        return (a * a).neg_().exp_(), (a,)

    def vjp(
        self,
        z: Tensor,
        params: Params,
        phi: Tensor,
        saved: tuple[Tensor, ...],
        dphi: Tensor,
        wrt: frozenset[str],
    ) -> tuple[Tensor | None, dict[str, Tensor]]:
        (a,), rate = saved, -2 * _inverse(params)  # dphi/dz = -2 / h a phi
        slope = dphi.mul_(phi).mul_(a)
        dz = slope.sum(-1) * rate.squeeze(-1) if "z" in wrt else None
        found = {}
        if "grid" in wrt:
            found["grid"] = total(slope.flatten(0, -3) * -rate, params["grid"])
        if "denominator" in wrt:
            moment = slope.mul_(a).sum(-1) * -rate.squeeze(-1)  # [..., I]
            found["denominator"] = total(moment.flatten(0, -2), params["denominator"])
        return dz, found

    def fold(self, params: Params, center: Tensor, scale: Tensor) -> tuple[Gaussian, dict[str, Tensor]]:
        grid = params["grid"] / scale.unsqueeze(-1) + center.unsqueeze(-1)  # [I, K]
        return dataclasses.replace(self, per_feature=True), {"grid": grid, "denominator": params["denominator"] / scale}

    def grid_to(self, params: Params, grid: Tensor) -> tuple[Gaussian, dict[str, Tensor]]:
        """Return one grid [I, n] per feature, and h with the same ratio to the mean distance of the centres."""
        return dataclasses.replace(self, per_feature=True), self._tensors_on(grid, params, self.beyond)

    def refine(self, num: int) -> Gaussian:
        """Return the basis with `num` centres on the same range, some beyond the ends, and with the same h / d.

        The relative RMS error of refitted functions is 8e-5 for h = d (5 to 50 centres, random weights). It is smaller
        for larger h.

        Args:
            num: the new num_grids, not smaller than the present one. Intervals between given centres are divided
                evenly.

        Raises:
            ValueError: `num` is smaller than the present number of centres.
        """
        width, new = self.denominator, dataclasses.replace(self, **self._finer_grid(num))
        return new if width == "auto" else dataclasses.replace(new, denominator=width * new.spacing / self.spacing)

    def refined(
        self, params: Params, num: int, in_features: int, out_features: int
    ) -> tuple[Gaussian, dict[str, Tensor]]:
        new = self.refine(num)
        return new, self._tensors_on(
            subdivided(self.grid_of(params), new.num_grids - 2 * new.beyond), params, new.beyond
        )

    def _tensors_on(self, grid: Tensor, params: Params, beyond: int) -> dict[str, Tensor]:
        """The tensors with these centres, `beyond` more at each end, and the h / d of `params`."""
        width = params["denominator"] * (mean_distance(grid) / mean_distance(self.grid_of(params)))
        return {"grid": continued(grid, beyond), "denominator": width}


def _bounded(z: Tensor) -> Tensor:
    """z, clamped to a range in which no product overflows; at its ends phi is 0. NaN stays NaN."""
    large = torch.finfo(z.dtype).max ** 0.5
    return z.clamp(-large, large)


def _inverse(params: Params) -> Tensor:
    """1 / h, [1, 1] or [I, 1]."""
    return params["denominator"].reciprocal().unsqueeze(-1)
