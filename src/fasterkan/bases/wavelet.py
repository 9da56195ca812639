"""Wavelets with a translation and a scale for every edge: the basis of Wav-KAN."""

from __future__ import annotations

import dataclasses
import difflib
from typing import ClassVar, Literal

import torch
from torch import Tensor

from .._check import positive_number
from ._base import Params
from ._mother import MOTHERS, REACH
from ._ranged import _Ranged

Kind = Literal["mexican_hat", "morlet", "shannon", "dog"]


@dataclasses.dataclass(frozen=True)
class Wavelet(_Ranged):
    """One wavelet per edge, phi_oi(z) = psi((z - t_oi) / s_oi), with its own translation t_oi and scale s_oi.

    | kind | psi(u) |
    |---|---|
    | "mexican_hat" | 2 / (sqrt(3) pi^(1/4)) (u^2 - 1) exp(-u^2 / 2), with the sign of Wav-KAN's code |
    | "morlet" | cos(5 u) exp(-u^2 / 2) |
    | "dog" | -u exp(-u^2 / 2), the derivative of the Gaussian |
    | "shannon" | sin(u) / u (0.54 + 0.46 cos(u / 4)) for abs(u) < 4 pi, else 0: sinc times a Hamming window |

    The Shannon wavelet differs from Wav-KAN's code. There the Hamming window runs over the input features: feature i is
    multiplied by the i-th number of a window as long as the layer is wide. This is not a window of the wavelet, and the
    weight of the edge already includes such a factor. Here the window is a function of u, as in their paper. It ends at
    a zero of the sine, where the function is continuous and its slope jumps by 0.006.

    A scale may have either sign. psi gets the scale s if |s| >= `min_scale` = m, else sign(s) (s^2 + m^2) / (2 m),
    which has slope 1 at m and is m / 2 at 0. Values and first derivatives are therefore finite for all finite numbers.
    A step across 0 goes through a narrow wavelet instead of a division by 0. It also mirrors "dog", the only odd
    wavelet, as the formula does.

    Args:
        kind: the mother wavelet psi.
        train_translation: learn t.
        train_scale: learn s.
        min_scale: m > 0, in units of z: the smallest |s| that is used unchanged.
        own_range: store each feature's range of z in tensors; `fold` sets it.

    Tensors: `translation` [O, I], all 0 at the start, and `scale` [O, I], all 1; K = 1. With `own_range` also `low` and
    `high` [O, I], the ends of the range, the same for all outputs.

    Raises:
        TypeError, ValueError: an argument lies outside its domain.

    Source: Z. Bozorgasl and H. Chen, Wav-KAN (arXiv 2405.12832). At z = +-inf, phi and all derivatives are 0.

    Example:
        >>> Wavelet("morlet").init(in_features=3, out_features=2)["scale"].shape
        torch.Size([2, 3])
    """

    kind: Kind = "mexican_hat"
    train_translation: bool = True
    train_scale: bool = True
    min_scale: float = 1e-3
    own_range: bool = False

    per_edge: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.kind not in MOTHERS:
            near = difflib.get_close_matches(str(self.kind), MOTHERS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"Wavelet: kind must be one of {', '.join(map(repr, MOTHERS))}, got {self.kind!r}{hint}")
        for flag in ("train_translation", "train_scale"):
            if not isinstance(getattr(self, flag), bool):
                raise TypeError(f"Wavelet: {flag} must be True or False, got {getattr(self, flag)!r}")
        object.__setattr__(self, "min_scale", positive_number("Wavelet", "min_scale", self.min_scale))
        self._check_own_range()

    @property
    def num_basis(self) -> int:
        return 1

    @property
    def grid_range(self) -> tuple[float, float]:
        return (-3.0, 3.0)

    @property
    def trainable(self) -> frozenset[str]:
        learned = {"translation": self.train_translation, "scale": self.train_scale}
        return frozenset(name for name, on in learned.items() if on)

    def init(
        self,
        in_features: int,
        out_features: int,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> dict[str, Tensor]:
        shape = (out_features, in_features)
        return {
            "translation": torch.zeros(shape, device=device, dtype=dtype),
            "scale": torch.ones(shape, device=device, dtype=dtype),
            **self._first_range(*shape, device=device, dtype=dtype),
        }

    def evaluate(self, z: Tensor, params: Params) -> Tensor:
        inverse = 1 / self._width(params["scale"])  # [O, I]
        u = (self._finite(z).unsqueeze(-2) - self._finite(params["translation"])) * inverse  # [..., O, I]
        return MOTHERS[self.kind].value(u.clamp(-REACH, REACH)).unsqueeze(-1)

    def evaluate_for_vjp(self, z: Tensor, params: Params) -> tuple[Tensor, tuple[Tensor, ...]]:
        inverse = 1 / self._width(params["scale"])
        u = (self._finite(z).unsqueeze(-2) - self._finite(params["translation"])).mul_(inverse)
        psi, parts = MOTHERS[self.kind].build(u)
        return psi.unsqueeze(-1), (u, *parts)

    def vjp(
        self,
        z: Tensor,
        params: Params,
        phi: Tensor,
        saved: tuple[Tensor, ...],
        dphi: Tensor,
        wrt: frozenset[str],
    ) -> tuple[Tensor | None, dict[str, Tensor]]:
        (u, *parts), scale = saved, params["scale"]
        fall = MOTHERS[self.kind].fall(u, phi.squeeze(-1), *parts)
        dt = fall.mul_(dphi.squeeze(-1)).div_(self._width(scale))  # [..., O, I]: -psi'(u) dphi / s, also -dz
        dz = dt.sum(-2).neg_() if "z" in wrt else None
        found = {}
        if "translation" in wrt:
            found["translation"] = dt.sum_to_size(scale.shape)
        if "scale" in wrt:
            slope = (scale.abs() / self.min_scale).clamp(max=1)  # derivative of the effective scale
            found["scale"] = dt.mul_(u).sum_to_size(scale.shape).mul_(slope)
        return dz, found

    def fold(self, params: Params, center: Tensor, scale: Tensor) -> tuple[Wavelet, dict[str, Tensor]]:
        folded = self._stretched(params, center, scale)
        least = min(self.min_scale, float(folded["scale"].detach().abs().min()))
        folded |= self._folded_range(params, center, scale, *params["scale"].shape)
        return dataclasses.replace(self, min_scale=least, own_range=True), folded

    def moved(self, params: Params, center: Tensor, scale: Tensor) -> dict[str, Tensor] | None:
        found = self._stretched(params, center, scale)
        if float(found["scale"].detach().abs().min()) < self.min_scale:
            return None
        return {**params, **found}

    def _stretched(self, params: Params, center: Tensor, scale: Tensor) -> dict[str, Tensor]:
        """Translation and scale of the wavelets of x = z / scale + center."""
        return {
            "translation": params["translation"] / scale + center,
            "scale": self._width(params["scale"]) / scale,
        }

    def _width(self, scale: Tensor) -> Tensor:
        """The scale that psi gets: its size is at least min_scale / 2, and its slope is continuous except at 0."""
        size, floor = scale.abs(), self.min_scale
        low = size < floor
        inner = torch.where(low, size, floor)
        width = torch.where(low, ((inner / floor).square() + 1) * (floor / 2), size)
        negative = (scale < 0) | (1 / scale < 0)  # also for -0.0; ONNX has no operation for the sign bit
        return torch.where(negative, -width, width)

    def _finite(self, z: Tensor) -> Tensor:
        """z or t, limited so that the square of u does not overflow; psi is 0 at the limits, and NaN stays."""
        large = torch.finfo(z.dtype).max ** 0.5 * min(1.0, self.min_scale) / 8
        return z.clamp(-large, large)
