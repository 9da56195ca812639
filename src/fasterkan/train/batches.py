"""Images in memory, shuffled, augmented and scaled a batch at a time, without a data loader."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..data import ImageDataset
from .augment import Augmentation


class Batches:
    """The training images on the device as uint8, made into batches there.

    Args:
        data: N images of H x W pixels, with or without channels.
        batch_size: rows of a batch; all N where there are fewer. The rows left over at the end of an epoch wait for
            another one.
        augmentation: how images are moved.
        device: where batches are made.
        seed: of the order and the moves; the same on every device.

    Raises:
        ValueError: there is no image.
    """

    def __init__(
        self,
        data: ImageDataset,
        batch_size: int,
        augmentation: Augmentation,
        device: torch.device | str = "cpu",
        seed: int = 0,
    ) -> None:
        if len(data) == 0:
            raise ValueError(f"Batches: {data!r} holds no image to train on")
        self.batch_size = min(batch_size, len(data))
        self.augmentation = augmentation
        self.images, self.labels = data.images.to(device), data.labels.to(device)
        self.generator = torch.Generator().manual_seed(seed)
        self._begun = self.generator.get_state()

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return len(self.labels) // self.batch_size

    def epoch(self, augmented: int, first: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield x float32 [B, H * W] or [B, C * H * W] in [0, 1] and labels [B] for an epoch in a new order.

        Args:
            augmented: how many batches of the epoch, from its first, are augmented; none below 1.
            first: batches to leave out, those of an epoch that was begun before `load_state`.
        """
        order = self._order(first).to(self.labels.device)
        for i in range(first, len(self)):
            rows = order[i * self.batch_size : (i + 1) * self.batch_size]
            x = self.images[rows].to(torch.float32).div_(255)  # [B, H, W] or [B, C, H, W]
            if i < augmented and self.augmentation:
                x = self.augmentation.apply(x, self.generator)
            yield x.flatten(1), self.labels[rows]

    def state(self) -> dict[str, Tensor]:
        """Return the generator's states at the beginning of the epoch, which decides its order, and now; uint8."""
        return {"begun": self._begun, "now": self.generator.get_state()}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Go back to where `state` was called; `epoch` then needs the number of batches that were yielded."""
        self._begun = state["begun"]
        self.generator.set_state(state["now"])

    def _order(self, first: int) -> Tensor:
        now = self.generator.get_state()
        if first == 0:
            self._begun = now
        self.generator.set_state(self._begun)
        order = torch.randperm(len(self.labels), generator=self.generator)
        if first > 0:
            self.generator.set_state(now)
        return order
