"""Images in memory, shuffled, augmented and scaled a batch at a time, without a data loader."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..data import ImageDataset
from .augment import Augmentation, warp


class Batches:
    """The training images on the device as uint8, made into batches there.

    Args:
        data: N images of H x W pixels.
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

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return len(self.labels) // self.batch_size

    def epoch(self, augmented: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield x float32 [B, H * W] in [0, 1] and labels [B] for an epoch in a new order.

        Args:
            augmented: how many batches, from the first, are augmented; none below 1.
        """
        order = torch.randperm(len(self.labels), generator=self.generator).to(self.labels.device)
        for i in range(len(self)):
            rows = order[i * self.batch_size : (i + 1) * self.batch_size]
            x = self.images[rows].to(torch.float32).div_(255)  # [B, H, W]
            if i < augmented and self.augmentation:
                x = warp(x, self.augmentation.draw(len(rows), self.generator).to(x.device))
            yield x.flatten(1), self.labels[rows]
