"""The norm for interpretable networks: one centre and one scale per feature, constant in every forward."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.distributed as dist
from torch import Tensor, nn

from .._check import real_number, whole_number
from .._torch import constant_in_graphs, is_parallel_copy
from ..bases import Basis
from ..ops import NormForm, Situation, at_least_float32
from .init import Distribution
from .known_number import KnownNumber
from .statistics import FeatureStatistics

Mode = Literal["auto", "range", "std"]

_NEW, _CALIBRATED, _FROZEN = 0, 1, 2
_ADVICE = (
    "FeatureNorm is not calibrated: call model.calibrate(X) first, or run one eager forward in training mode "
    "(model.train()) before you evaluate, compile, export or transform the model"
)
_SANITY_CHECK = ". Lightning evaluates before it trains: calibrate in setup(), or Trainer(num_sanity_val_steps=0)"
_PARALLEL_COPY = (
    "FeatureNorm is not calibrated: call model.calibrate(X) before you train the model in DataParallel. Its copies on "
    "the devices are thrown away after each forward, and what they calibrate with them"
)


@dataclasses.dataclass(frozen=True)
class FeatureNorm:
    """Description of z = (x - c) * s with one centre c and one scale s per feature, not learned by gradients.

    c and s are set by `calibrate`, or by the first eager forward in training. In each forward they are constants: the
    output of a row depends on that row only, and each edge is a function of one variable. With several ranks
    (torch.distributed) or in DataParallel only `calibrate` sets them.

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


class UncalibratedTracingError(RuntimeError, AssertionError):
    """A feature norm that is not calibrated was traced; torch.compile passes an AssertionError on to the caller."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        """The message alone, without what torch.compile adds to it."""
        return self.message


class FeatureScaling(nn.Module):
    """The module behind `FeatureNorm`: buffers `center`, `scale` [I] and `status` (0 new, 1 calibrated, 2 frozen).

    The buffers are all there is: whoever copies, averages, loads or replaces them also copies the calibration.
    """

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
        self._known_status = KnownNumber()
        self.statistics = FeatureStatistics(in_features)
        self.reset_parameters()
        self.register_load_state_dict_pre_hook(_round_up_status)
        self.register_load_state_dict_post_hook(_forget_statistics)

    def reset_parameters(self) -> None:
        """Reset the norm: c = 0, s = 1, not calibrated."""
        nn.init.zeros_(self.center)
        nn.init.ones_(self.scale)
        self.set_status(calibrated=False, frozen=False)
        self.updates_left = self.description.updates
        self.statistics.reset()

    def read_status(self) -> int | None:
        """Return what the buffer `status` says; None on the meta device."""
        return self._known_status.of(self.status)

    @property
    def calibrated(self) -> bool:
        """Whether c and s are set; a norm on the meta device has no numbers and counts as calibrated."""
        return self.read_status() != _NEW

    @property
    def frozen(self) -> bool:
        """Whether c and s no longer follow the data."""
        return self.read_status() == _FROZEN

    def start(self, basis: Basis) -> Distribution:
        """Return the distribution of z at initialisation, for a calibrated norm."""
        low, high = basis.grid_range
        middle, half = (low + high) / 2, (high - low) / 2
        if self.mode == "range":
            return Distribution(middle, half / (1 + 2 * self.description.margin), uniform=True)
        return Distribution(middle, half / 3)

    def follow(self, x: Tensor, target: Callable[[], tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor] | None:
        """Add training data to the statistics; the first batch sets c and s.

        Return what `move_to_statistics` returns if this batch has set c and s, else None.

        Nothing happens if the norm is frozen, if the call is traced or transformed, or in a copy of DataParallel.

        Args:
            x: [..., I].
            target: returns the interval of z (low, high), each [] or [I], to which the data is mapped.

        Raises:
            RuntimeError: the norm is not calibrated and there are several ranks; each would take its own batch.
        """
        if not _is_plain_eager(x) or is_parallel_copy(self) or (status := self.read_status()) == _FROZEN:
            return None
        if status == _NEW and (ranks := _ranks()) > 1:
            raise RuntimeError(
                f"FeatureNorm is not calibrated, and each of {ranks} ranks would take its own batch: call "
                "model.calibrate(X, group=torch.distributed.group.WORLD) on every rank before you train (X may differ "
                "from rank to rank), or model.calibrate(X) with the same X on every rank"
            )
        self.statistics.add(at_least_float32(x))
        return self.move_to_statistics(target()) if status == _NEW else None

    def forward(self, x: Tensor) -> Tensor:
        """Return z [..., I], float32 (float64 for float64).

        Raises:
            RuntimeError: c and s are not set yet, and this is not an eager forward in training mode.
        """
        x = at_least_float32(x)
        if torch.compiler.is_compiling():
            self._require_calibrated()
        else:
            self.check_ready(x)
        return (x - self.center.to(x.dtype)) * self.scale.to(x.dtype)

    def norm_form(self) -> NormForm | str:
        """Return the norm as numbers, or the reason why it cannot be written so."""
        if type(self).forward is not FeatureScaling.forward:
            return f"{type(self).__name__} has a forward of its own"
        return NormForm("feature", self.scale, self.center)

    def check_ready(self, x: Tensor) -> None:
        """Raise RuntimeError if c and s are not set yet, and this is not an eager forward in training mode."""
        if not self.calibrated:
            self._refuse(x)

    @constant_in_graphs
    def _require_calibrated(self) -> None:
        """Raise if the norm is not calibrated; torch.compile runs this while it traces, and keeps nothing of it."""
        if not self.calibrated:
            raise UncalibratedTracingError(_ADVICE)

    def _refuse(self, x: Tensor) -> None:
        """Raise unless this is a forward that may go on without a calibration: its batch has just been skipped."""
        if is_parallel_copy(self):
            raise RuntimeError(_PARALLEL_COPY)
        if not _is_plain_eager(x):
            raise RuntimeError(_ADVICE)
        if not self.training:
            raise RuntimeError(_ADVICE + _SANITY_CHECK)

    def move_to_statistics(self, target: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor] | None:
        """Set c and s from the statistics, then reset the statistics.

        Args:
            target: the interval of z (low, high), each [] or [I], to which the data is mapped.

        Returns:
            The means m and reciprocal standard deviations 1 / d of the data, float64 [I] on the CPU, with 1 / d = 1 for
            a constant feature; None, without any change, if the statistics hold no row.
        """
        if not self.statistics.count:
            return None
        standard = self.statistics.center_scale("std", (-3.0, 3.0), 0.0, self.scale.dtype)
        center, scale = self.statistics.center_scale(self.mode, target, self.description.margin, self.scale.dtype)
        with torch.no_grad():
            self.center.copy_(center)
            self.scale.copy_(scale)
        self.statistics.reset()
        self.set_status(calibrated=True, frozen=self.frozen)
        return standard

    def set_status(self, *, calibrated: bool, frozen: bool) -> None:
        """Write into the buffer `status`."""
        status = _FROZEN if frozen else _CALIBRATED if calibrated else _NEW
        self.status.fill_(status)
        self._known_status.set(self.status, status)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> FeatureScaling:
        """Move the buffers, as every module does, and remember which is the status now, or was before meta."""
        super()._apply(fn, recurse)
        if not self.status.is_meta:
            self._known_status.watch(self.status)
        return self

    def extra_repr(self) -> str:
        states = {None: "no numbers", _NEW: "not calibrated", _CALIBRATED: "calibrated"}
        state = states.get(self.read_status(), "frozen")
        return f"mode={self.mode!r}, in_features={self.center.numel()}, {state}"


def _ranks() -> int:
    """The number of processes of torch.distributed; 1 without it."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def _is_plain_eager(x: Tensor) -> bool:
    """Whether the call is not traced, transformed or captured; only then may statistics be gathered."""
    if Situation.of(x).obstacle or x.is_meta:
        return False
    return not (x.is_cuda and torch.cuda.is_current_stream_capturing())


def _round_up_status(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Make whole numbers of a status that was averaged as a float: a part of "calibrated" is calibrated."""
    status = state.get(name := f"{prefix}status")
    if isinstance(status, Tensor) and status.is_floating_point():
        state[name] = torch.where(status > 0, status.round().clamp(_CALIBRATED, _FROZEN), 0).to(torch.uint8)


def _forget_statistics(module: nn.Module, incompatible_keys: Any) -> None:
    """The rows that were seen belong to the weights before loading."""
    assert isinstance(module, FeatureScaling)
    module.statistics.reset()
    module._known_status.watch(module.status)
