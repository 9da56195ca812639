"""Running statistics of features in float64: count, mean, deviation and range, which can be merged over processes."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor

from .._device import exact_device, exact_on_cpu


class FeatureStatistics:
    """Count, mean, sum of squared deviations, minimum and maximum of each of I features.

    They stay on the device of the rows: adding rows does not make the host wait for it. Reading them does.
    """

    def __init__(self, in_features: int) -> None:
        self.in_features = in_features
        self._empty = 0  # batches without rows
        self._bad: Tensor | int = 0  # batches with a number that is not finite, on the device
        self.reset()

    def reset(self) -> None:
        """Reset everything except the number of skipped batches."""
        self._state = _nothing(self.in_features, torch.device("cpu"))

    @property
    def skipped(self) -> int:
        """Batches that were left out because they were empty or held a number that is not finite."""
        return self._empty + int(self._bad)

    @property
    def count(self) -> int:
        """The number of rows."""
        return int(self._state[0, 0])

    @property
    def mean(self) -> Tensor:
        """[I], 0 without rows."""
        return self._state[1]

    @property
    def m2(self) -> Tensor:
        """The sum of squared deviations from the mean, [I]."""
        return self._state[2]

    @property
    def minimum(self) -> Tensor:
        """[I], infinite without rows."""
        return self._state[3]

    @property
    def maximum(self) -> Tensor:
        """[I], minus infinite without rows."""
        return self._state[4]

    @torch.no_grad()
    def add(self, x: Tensor) -> None:
        """Add rows [..., I]; an empty or non-finite batch is skipped and counted."""
        if not x.numel():
            self._empty += 1
            return
        rows = x.detach().reshape(-1, self.in_features)
        rows = rows.to(exact_device(rows.device))
        self._move_to(rows.device)
        low, high = rows.aminmax(dim=0)
        finite = (torch.isfinite(low) & torch.isfinite(high)).all()
        exact = rows.to(torch.float64)
        mean = exact.mean(0)
        m2 = (exact - mean).square().sum(0)
        found = torch.stack([torch.full_like(mean, len(rows)), mean, m2, low.double(), high.double()])
        self._state = torch.where(finite, _merged(self._state, found), self._state)
        self._bad = self._bad + (~finite).long()

    def _move_to(self, device: torch.device) -> None:
        """Bring the numbers to a device; new statistics are made there, since a copy would make the host wait."""
        if self._state.device == device:
            return
        fresh = self._state.device.type == "cpu" and not self.count
        self._state = _nothing(self.in_features, device) if fresh else self._state.to(device)
        if isinstance(self._bad, Tensor) and self._bad.device != device:
            self._bad = int(self._bad)

    def all_reduce(self, group: dist.ProcessGroup | None) -> None:
        """Merge the statistics of all ranks of a group and give the result to each; without a group, do nothing."""
        if group is None:
            return
        device = "cuda" if dist.get_backend(group) == "nccl" else "cpu"
        own = self._state.to(device)
        gathered = [torch.empty_like(own) for _ in range(dist.get_world_size(group))]
        dist.all_gather(gathered, own, group=group)
        self.reset()
        for other in gathered:
            if float(other[0, 0]) > 0:
                self._state = _merged(self._state, other.cpu())

    def center_scale(
        self,
        mode: str,
        target: tuple[Tensor | float, Tensor | float],
        margin: float,
        dtype: torch.dtype = torch.float32,
    ) -> tuple[Tensor, Tensor]:
        """Return c and s such that (x - c) * s lies in `target`, float64 [I] on the CPU; a constant feature gets s = 1.

        Args:
            mode: "range" maps minimum..maximum, widened by `margin` at both ends; "std" maps mean +- 3 standard
                deviations.
            target: an interval in units of z, (low, high), each [] or [I].
            margin: fraction of the range of the data.
            dtype: dtype in which s must be finite and not 0. A feature that is too narrow or too wide for it counts as
                constant.
        """
        low, high = (exact_on_cpu(end.detach()) if isinstance(end, Tensor) else end for end in target)
        count, mean, m2, minimum, maximum = self._state.cpu()
        if mode == "range":
            middle = minimum / 2 + maximum / 2
            half = (maximum / 2 - minimum / 2) * (1 + 2 * margin)
        else:
            evenly = (maximum / 2 - minimum / 2) / 3**0.5  # the deviation of such data, if a square leaves float64
            squares = torch.isfinite(m2) & (m2 > 0)
            middle, half = mean, 3 * torch.where(squares, (m2 / count.clamp_min(1)).sqrt(), evenly)
        constant = maximum == minimum
        middle = torch.where(constant, minimum, middle)
        scale = (high - low) / 2 / half
        stored = scale.to(dtype)
        usable = ~constant & torch.isfinite(stored) & (stored > 0)
        scale = torch.where(usable, scale, torch.ones_like(scale))
        return middle - (low + high) / 2 / scale, scale


def _nothing(in_features: int, device: torch.device) -> Tensor:
    """The statistics of no rows, [5, I]: count, mean, squared deviations, minimum, maximum."""
    state = torch.zeros(5, in_features, dtype=torch.float64, device=device)
    state[3].fill_(torch.inf)
    state[4].fill_(-torch.inf)
    return state


def _merged(one: Tensor, other: Tensor) -> Tensor:
    """The statistics of the rows of both, of which `other` has some (Chan's update of mean and squared deviations)."""
    (n, mean, m2, low, high), (m, mean_other, m2_other, low_other, high_other) = one, other
    total, delta = n + m, mean_other - mean
    return torch.stack(
        [
            total,
            mean + delta * (m / total),
            m2 + m2_other + delta.square() * (n * m / total),
            low.minimum(low_other),
            high.maximum(high_other),
        ]
    )
