"""Batches of images in memory: shuffled, augmented and scaled one batch at a time, without a data loader."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..data import ImageDataset
from .augment import Augmentation


class Batches:
    """The training images, stored on the device as uint8 and made into batches there.

    Args:
        data: N images of H x W pixels, with or without channels.
        batch_size: number of images in a batch; all N if there are fewer. Images that do not fill a batch at the end of
            an epoch are not used in that epoch.
        augmentation: the augmentation of the images.
        device: the device on which batches are made.
        seed: seed of the order and the augmentation. The results are the same on every device.

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
            raise ValueError(f"Batches: {data!r} has no image to train on")
        self.batch_size = min(batch_size, len(data))
        self.augmentation = augmentation
        self.images, self.labels = data.images.to(device), data.labels.to(device)
        self.generator = torch.Generator("cpu").manual_seed(seed)
        self._begun = self.generator.get_state()

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return len(self.labels) // self.batch_size

    def epoch(self, augmented: int, first: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield x float32 [B, H * W] or [B, C * H * W] in [0, 1] and labels [B] for an epoch in a new order.

        Args:
            augmented: number of batches, from the beginning of the epoch, that are augmented; none if below 1.
            first: number of batches to skip, if part of the epoch was done before `load_state`.
        """
        order = self._order(first).to(self.labels.device)
        for i in range(first, len(self)):
            rows = order[i * self.batch_size : (i + 1) * self.batch_size]
            x = self.images[rows].to(torch.float32).div_(255)  # [B, H, W] or [B, C, H, W]
            if i < augmented and self.augmentation:
                x = self.augmentation.apply(x, self.generator)
            yield x.flatten(1), self.labels[rows]

    def state(self) -> dict[str, Tensor]:
        """Return two states of the generator: at the beginning of the epoch, which decides its order, and now."""
        return {"begun": self._begun, "now": self.generator.get_state()}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Restore a result of `state`; `epoch` then needs the number of batches that were already yielded."""
        self._begun = state["begun"]
        self.generator.set_state(state["now"])

    def _order(self, first: int) -> Tensor:
        now = self.generator.get_state()
        if first == 0:
            self._begun = now
        self.generator.set_state(self._begun)
        order = torch.randperm(len(self.labels), generator=self.generator, device="cpu")
        if first > 0:
            self.generator.set_state(now)
        return order
