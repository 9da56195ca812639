"""Running statistics of features in float64: count, mean, deviation and range, which can be merged over processes."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor


class FeatureStatistics:
    """Count, mean, sum of squared deviations, minimum and maximum of each of I features."""

    def __init__(self, in_features: int) -> None:
        self.in_features = in_features
        self.skipped = 0
        """Batches that were left out because they were empty or held a number that is not finite."""
        self.reset()

    def reset(self) -> None:
        """Reset everything except the number of skipped batches."""
        empty = torch.zeros(self.in_features, dtype=torch.float64, device="cpu")
        self.count = 0
        self.mean, self.m2 = empty, empty.clone()
        self.minimum, self.maximum = torch.full_like(empty, torch.inf), torch.full_like(empty, -torch.inf)

    def add(self, x: Tensor) -> None:
        """Add rows [..., I]; an empty or non-finite batch is skipped and counted."""
        rows = x.detach().reshape(-1, self.in_features) if x.numel() else x.new_empty(0, self.in_features)
        low, high = rows.aminmax(dim=0) if len(rows) else (rows, rows)
        if not len(rows) or not bool((torch.isfinite(low) & torch.isfinite(high)).all()):
            self.skipped += 1
            return
        exact = (rows.cpu() if rows.device.type == "mps" else rows).to(torch.float64)  # MPS has no float64
        mean = exact.mean(0)
        m2 = (exact - mean).square().sum(0)
        self._merge(len(rows), mean.cpu(), m2.cpu(), low.cpu().double(), high.cpu().double())

    def _merge(self, count: int, mean: Tensor, m2: Tensor, minimum: Tensor, maximum: Tensor) -> None:
        """Chan's update of mean and squared deviations."""
        total = self.count + count
        delta = mean - self.mean
        self.m2 = self.m2 + m2 + delta.square() * (self.count * count / total)
        self.mean = self.mean + delta * (count / total)
        self.minimum, self.maximum = self.minimum.minimum(minimum), self.maximum.maximum(maximum)
        self.count = total

    def all_reduce(self) -> None:
        """Merge the statistics of all ranks and give the result to each; without torch.distributed, do nothing."""
        if not (dist.is_available() and dist.is_initialized()):
            return
        packed = torch.stack([torch.full_like(self.mean, self.count), self.mean, self.m2, self.minimum, self.maximum])
        device = "cuda" if dist.get_backend() == "nccl" else "cpu"
        gathered = [torch.empty_like(packed, device=device) for _ in range(dist.get_world_size())]
        dist.all_gather(gathered, packed.to(device))
        self.reset()
        for other in gathered:
            count, mean, m2, minimum, maximum = other.cpu()
            if count[0] > 0:
                self._merge(int(count[0]), mean, m2, minimum, maximum)

    def center_scale(
        self,
        mode: str,
        target: tuple[Tensor | float, Tensor | float],
        margin: float,
        dtype: torch.dtype = torch.float32,
    ) -> tuple[Tensor, Tensor]:
        """Return c and s, float64 [I], such that (x - c) * s lies in `target`; a constant feature gets s = 1.

        Args:
            mode: "range" maps minimum..maximum, widened by `margin` at both ends; "std" maps mean +- 3 standard
                deviations.
            target: an interval in units of z, (low, high), each [] or [I].
            margin: fraction of the range of the data.
            dtype: dtype in which s must be finite and not 0. A feature that is too narrow or too wide for it counts as
                constant.
        """
        low, high = (torch.as_tensor(end, dtype=torch.float64, device="cpu").detach() for end in target)
        if mode == "range":
            middle = self.minimum / 2 + self.maximum / 2
            half = (self.maximum / 2 - self.minimum / 2) * (1 + 2 * margin)
        else:
            middle, half = self.mean, 3 * (self.m2 / max(self.count, 1)).sqrt()
        constant = self.maximum == self.minimum
        middle = torch.where(constant, self.minimum, middle)
        scale = (high - low) / 2 / half
        stored = scale.to(dtype)
        usable = ~constant & torch.isfinite(stored) & (stored > 0)
        scale = torch.where(usable, scale, torch.ones_like(scale))
        return middle - (low + high) / 2 / scale, scale
