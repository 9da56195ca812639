"""Sines with learned frequencies: the basis of SineKAN."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

import torch
from torch import Tensor

from .._check import whole_number
from .._device import exact_on_cpu
from ._base import Basis, Params
from ._domain import bound
from ._nested import _Nested
from ._ranged import _Ranged
from ._sums import total


@dataclasses.dataclass(frozen=True)
class Sine(_Nested, _Ranged):
    """Sines phi_k(z_i) = sin(w_k z_i + p_ik), k = 1 .. num_frequencies, with learned frequencies w.

    At the start w_k = k / (K + 1), or k, and p_ik = (k / (K + 1) + pi (i - 1) / (I - 1)) r, i = 1 .. I, where
    r = prod_{j=1}^{K-1} (0.97241 j^-0.98844 + 0.99945). With r, the output of a SineKAN layer is similar for all K.

    Args:
        num_frequencies: K, at least 1.
        normalize: True: w_k = k / (K + 1) at the start, as in SineKAN's hidden layers. False: w_k = k, as in its first
            layer.
        train_frequency: learn w.
        train_phase: learn p; the code of SineKAN's authors does not.
        per_feature: one set of frequencies for each input feature instead of one per layer.
        own_range: store each feature's range of z in tensors; `fold` sets it.

    Tensors: `frequency` [K], or [I, K] when `per_feature`, and `phase` [I, K]; with `own_range` also `low` and `high`
    [I], the ends of the range.

    Values of z beyond +-sqrt(largest number of its dtype), 1.8e19 in float32, are replaced by this limit, so no product
    overflows.

    Raises:
        TypeError, ValueError: an argument lies outside its domain.

    Source: E. Reinhardt, D. Ramakrishnan, S. Gleyzer, SineKAN (arXiv 2407.04149); the phases are from its code.

    Example:
        >>> Sine(num_frequencies=8).init(in_features=3, out_features=2)["phase"].shape
        torch.Size([3, 8])
    """

    num_frequencies: int = 8
    normalize: bool = True
    train_frequency: bool = True
    train_phase: bool = False
    per_feature: bool = False
    own_range: bool = False

    _count: ClassVar[str] = "num_frequencies"

    def __post_init__(self) -> None:
        count = whole_number("Sine", "num_frequencies", self.num_frequencies, 1)
        object.__setattr__(self, "num_frequencies", count)
        for flag in ("normalize", "train_frequency", "train_phase", "per_feature"):
            if not isinstance(getattr(self, flag), bool):
                raise TypeError(f"Sine: {flag} must be True or False, got {getattr(self, flag)!r}")
        self._check_own_range()

    @property
    def num_basis(self) -> int:
        return self.num_frequencies

    @property
    def grid_range(self) -> tuple[float, float]:
        return (-math.pi, math.pi)

    @property
    def trainable(self) -> frozenset[str]:
        learned = {"frequency": self.train_frequency, "phase": self.train_phase}
        return frozenset(name for name, on in learned.items() if on)

    def init(
        self,
        in_features: int,
        out_features: int,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> dict[str, Tensor]:
        count = self.num_frequencies
        order = torch.arange(1, count + 1, device=device, dtype=dtype or torch.get_default_dtype())
        ratio = math.prod(0.9724108095811765 * j**-0.9884401790754128 + 0.999449553483052 for j in range(1, count))
        shift = torch.linspace(0, math.pi, in_features, device=device, dtype=order.dtype).unsqueeze(-1)  # [I, 1]
        frequency = order / (count + 1) if self.normalize else order
        return {
            "frequency": frequency.repeat(in_features, 1) if self.per_feature else frequency,
            "phase": (order / (count + 1) + shift) * ratio,
            **self._first_range(in_features, device=device, dtype=order.dtype),
        }

    def evaluate(self, z: Tensor, params: Params) -> Tensor:
        return torch.sin(_bounded(z).unsqueeze(-1) * params["frequency"] + params["phase"])

    def derivative(self, z: Tensor, params: Params) -> Tensor:
        angle = _bounded(z).unsqueeze(-1) * params["frequency"] + params["phase"]
        return torch.cos(angle) * params["frequency"] * _inside(z).unsqueeze(-1)

    def evaluate_for_vjp(self, z: Tensor, params: Params) -> tuple[Tensor, tuple[Tensor, ...]]:
        angle = (_bounded(z).unsqueeze(-1) * params["frequency"]).add_(params["phase"])  # [..., I, K]
        return torch.sin(angle), (angle,)

    def vjp(
        self,
        z: Tensor,
        params: Params,
        phi: Tensor,
        saved: tuple[Tensor, ...],
        dphi: Tensor,
        wrt: frozenset[str],
    ) -> tuple[Tensor | None, dict[str, Tensor]]:
        slope = torch.cos(saved[0]).mul_(dphi)  # [..., I, K], derivative with respect to the angle
        frequency, shared = params["frequency"], not self.per_feature
        dz, found = None, {}
        if "z" in wrt:
            dz = (slope @ frequency if shared else (slope * frequency).sum(-1)).mul_(_inside(z))
        if "phase" in wrt:
            found["phase"] = total(slope.flatten(0, -3), params["phase"])
        if "frequency" in wrt:
            x = _bounded(z).flatten(0, -2)  # [N, I]
            slope = slope.flatten(0, -3)
            terms = (
                (x.unsqueeze(1) @ slope).squeeze(1) if shared else slope.mul_(x.unsqueeze(-1))
            )  # [N, K] or [N, I, K]
            found["frequency"] = total(terms, frequency)
        return dz, found

    def refined(self, params: Params, num: int, in_features: int, out_features: int) -> tuple[Sine, dict[str, Tensor]]:
        """Return `refine(num)` with these frequencies and phases, and more of them with the spacing of a new layer."""
        new, old = self.refine(num), {k: exact_on_cpu(t.detach()) for k, t in params.items()}
        made = new.init(in_features, out_features, "cpu", torch.float64)
        if self.normalize:
            made["frequency"] *= (num + 1) / (self.num_frequencies + 1)
        for name in ("frequency", "phase"):
            made[name][..., : self.num_frequencies] = old[name]
        return new, {**made, **{name: old[name] for name in ("low", "high") if self.own_range}}

    def fold(self, params: Params, center: Tensor, scale: Tensor) -> tuple[Sine, dict[str, Tensor]]:
        frequency = params["frequency"] * scale.unsqueeze(-1)  # [I, K]
        folded = {"frequency": frequency, "phase": params["phase"] - frequency * center.unsqueeze(-1)}
        folded |= self._folded_range(params, center, scale, len(center))
        return dataclasses.replace(self, per_feature=True, own_range=True), folded

    def _is_prefix(self, params: Params, new: Basis, new_params: Params) -> bool:
        def continues(name: str) -> bool:
            old = params[name]
            own = new_params[name][..., : self.num_frequencies].to(old)
            return own.shape == old.shape and torch.equal(own, old)

        return isinstance(new, Sine) and continues("frequency") and continues("phase")


def _bounded(z: Tensor) -> Tensor:
    """z, limited to values whose products do not overflow; NaN stays."""
    limit = bound(z.dtype)
    return z.clamp(-limit, limit)


def _inside(z: Tensor) -> Tensor:
    """The slope of `_bounded`: 1 inside the limits and for NaN, 0 outside."""
    return (~(z.abs() > bound(z.dtype))).to(z.dtype)
