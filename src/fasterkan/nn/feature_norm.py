"""The norm for interpretable networks: one centre and one scale per feature, constant in every forward."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from .._check import real_number, whole_number
from ..bases import Basis
from ..ops import Situation, at_least_float32
from .init import Distribution
from .statistics import FeatureStatistics

Mode = Literal["auto", "range", "std"]


@dataclasses.dataclass(frozen=True)
class FeatureNorm:
    """Description of z = (x - c) * s with one centre c and one scale s per feature, not learned by gradients.

    c and s are set by `calibrate`, or by the first eager forward in training. In each forward they are constants: the
    output of a row depends on that row only, and each edge is a function of one variable.

    Args:
        mode: "range" maps each feature's minimum..maximum, widened by `margin` at both ends, to the basis' grid_range.
            "std" maps mean +- 3 standard deviations to it. "auto" is "range" for bases of compact support and "std" for
            the others.
        margin: fraction of the range of the data.
        updates: number of calls of `update_norms` that may move c and s; after them c and s are frozen.
    """

    mode: Mode = "auto"
    margin: float = 0.05
    updates: int = 100

    def __post_init__(self) -> None:
        if self.mode not in ("auto", "range", "std"):
            raise ValueError(f'FeatureNorm: mode must be "auto", "range" or "std", got {self.mode!r}')
        if real_number("FeatureNorm", "margin", self.margin) < 0:
            raise ValueError(f"FeatureNorm: margin must not be negative, got {self.margin}")
        object.__setattr__(self, "margin", float(self.margin))
        object.__setattr__(self, "updates", whole_number("FeatureNorm", "updates", self.updates, 0))

    def build(
        self, in_features: int, basis: Basis, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> FeatureScaling:
        """Return the module for one layer."""
        return FeatureScaling(self, in_features, basis, device, dtype)


class FeatureScaling(nn.Module):
    """The module behind `FeatureNorm`: buffers `center`, `scale` [I] and `status` (0 new, 1 calibrated, 2 frozen)."""

    center: Tensor
    scale: Tensor
    status: Tensor

    def __init__(
        self,
        description: FeatureNorm,
        in_features: int,
        basis: Basis,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.description = description
        compact = basis.support == "compact"
        self.mode = description.mode if description.mode != "auto" else "range" if compact else "std"
        self.register_buffer("center", torch.empty(in_features, device=device, dtype=dtype))
        self.register_buffer("scale", torch.empty(in_features, device=device, dtype=dtype))
        self.register_buffer("status", torch.empty((), device=device, dtype=torch.uint8))
        self.statistics = FeatureStatistics(in_features)
        self.reset_parameters()
        self.register_load_state_dict_post_hook(_read_status)

    def reset_parameters(self) -> None:
        """Reset the norm: c = 0, s = 1, not calibrated."""
        nn.init.zeros_(self.center)
        nn.init.ones_(self.scale)
        self.set_status(calibrated=False, frozen=False)
        self.updates_left = self.description.updates
        self.statistics.reset()

    def start(self, basis: Basis) -> Distribution:
        """Return the distribution of z at initialisation, for a calibrated norm."""
        low, high = basis.grid_range
        middle, half = (low + high) / 2, (high - low) / 2
        if self.mode == "range":
            return Distribution(middle, half / (1 + 2 * self.description.margin), uniform=True)
        return Distribution(middle, half / 3)

    def follow(self, x: Tensor, target: Callable[[], tuple[Tensor, Tensor]]) -> None:
        """Add training data to the statistics; the first batch sets c and s.

        Nothing happens if the norm is frozen, or if the call is traced or transformed.

        Args:
            x: [..., I].
            target: returns the interval of z (low, high), each [] or [I], to which the data is mapped.
        """
        if self.frozen or not _is_plain_eager(x):
            return
        self.statistics.add(at_least_float32(x))
        if not self.calibrated:
            self.statistics.all_reduce()
            self.move_to_statistics(target())

    def forward(self, x: Tensor) -> Tensor:
        """Return z [..., I], float32 (float64 for float64).

        Raises:
            RuntimeError: c and s are not set yet, and this is not an eager forward in training mode.
        """
        x = at_least_float32(x)
        if not self.calibrated and not (self.training and _is_plain_eager(x)):
            raise RuntimeError(
                "FeatureNorm is not calibrated: call model.calibrate(X) first, or run one eager forward in training "
                "mode (model.train()) before you evaluate, compile, export or transform the model"
            )
        return (x - self.center.to(x.dtype)) * self.scale.to(x.dtype)

    def move_to_statistics(self, target: tuple[Tensor, Tensor]) -> bool:
        """Set c and s from the statistics, then reset the statistics; return False if they hold no row.

        Args:
            target: the interval of z (low, high), each [] or [I], to which the data is mapped.
        """
        if not self.statistics.count:
            return False
        center, scale = self.statistics.center_scale(self.mode, target, self.description.margin, self.scale.dtype)
        with torch.no_grad():
            self.center.copy_(center)
            self.scale.copy_(scale)
        self.statistics.reset()
        self.set_status(calibrated=True, frozen=self.frozen)
        return True

    def set_status(self, *, calibrated: bool, frozen: bool) -> None:
        """Set both flags and the buffer that carries them into checkpoints."""
        self.calibrated, self.frozen = calibrated, frozen
        self.status.fill_(2 if frozen else int(calibrated))

    def extra_repr(self) -> str:
        state = "frozen" if self.frozen else "calibrated" if self.calibrated else "not calibrated"
        return f"mode={self.mode!r}, in_features={self.center.numel()}, {state}"


def _is_plain_eager(x: Tensor) -> bool:
    """Whether the call is not traced, transformed or captured; only then may statistics be gathered."""
    if Situation.of(x).obstacle or x.is_meta:
        return False
    return not (x.is_cuda and torch.cuda.is_current_stream_capturing())


def _read_status(module: nn.Module, incompatible_keys: Any) -> None:
    assert isinstance(module, FeatureScaling)
    if module.status.device.type != "meta":
        status = int(module.status)
        module.calibrated, module.frozen = status > 0, status == 2
        module.statistics.reset()  # they belong to the weights before loading
