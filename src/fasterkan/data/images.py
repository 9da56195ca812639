"""Labelled images in memory."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from fasterkan.data.errors import DataError


@dataclass(frozen=True, eq=False, repr=False)
class ImageDataset:
    """Grey or colour images and their labels, as two tensors in memory.

    It has a length, and an index gives `(image, label)`. `torch.utils.data.DataLoader` therefore accepts it. Indexing
    `images` and `labels` with a slice or a tensor of row numbers is much faster.

    Attributes:
        images: uint8 tensor [N, H, W] (grey) or [N, C, H, W] (C channels). For digits, 0 is background and 255 is full
            ink.
        labels: int64 tensor [N] with values in 0 .. num_classes - 1.
        classes: the name of each label.
        name: the name of the data set, such as "mnist".
        split: the part of the data set: "train", "validation" or "test".

    Raises:
        DataError: a wrong dtype or shape, or a label out of range.

    Example:
        >>> data = ImageDataset(torch.zeros(3, 28, 28, dtype=torch.uint8), torch.tensor([0, 1, 1]), ("no", "yes"))
        >>> data, len(data), data.as_float().shape
        (ImageDataset(images, train: 3 images of 28 x 28, 2 classes), 3, torch.Size([3, 784]))
    """

    images: torch.Tensor
    labels: torch.Tensor
    classes: tuple[str, ...]
    name: str = "images"
    split: str = "train"

    def __post_init__(self) -> None:
        images, labels = self.images, self.labels
        if images.dtype != torch.uint8 or images.ndim not in (3, 4):
            raise DataError(
                f"ImageDataset: images is {_describe(images)}, expected torch.uint8 [N, H, W] or [N, C, H, W]"
            )
        if labels.dtype != torch.int64 or labels.shape != images.shape[:1]:
            raise DataError(f"ImageDataset: labels is {_describe(labels)}, expected torch.int64 [{len(images)}]")
        if len(labels) and (int(labels.min()) < 0 or int(labels.max()) >= len(self.classes)):
            raise DataError(
                f"ImageDataset: labels run from {int(labels.min())} to {int(labels.max())}, "
                f"expected 0 to {len(self.classes) - 1} for {len(self.classes)} classes"
            )

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.classes)

    @property
    def channels(self) -> int:
        """The number of channels C; 1 for grey images [N, H, W]."""
        return 1 if self.images.ndim == 3 else self.images.shape[1]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.images[index], self.labels[index]

    def __repr__(self) -> str:
        rows, *shape = self.images.shape
        size = " x ".join(map(str, shape))
        return f"ImageDataset({self.name}, {self.split}: {rows:,} images of {size}, {self.num_classes} classes)"

    def as_float(self, *, flat: bool = True) -> torch.Tensor:
        """Return all images as float32 in [0, 1], computed as image / 255.

        Args:
            flat: True gives rows [N, H * W] or [N, C * H * W] for a dense layer. False gives [N, 1, H, W] or
                [N, C, H, W] for a convolution.

        Returns:
            A new tensor. It needs four times the memory of `images`.
        """
        scaled = self.images.to(torch.float32) / 255
        return scaled.flatten(1) if flat else scaled.reshape(len(scaled), self.channels, *scaled.shape[-2:])

    def hold_out(self, rows: int) -> tuple[ImageDataset, ImageDataset]:
        """Split off the last rows for validation.

        Args:
            rows: the number of rows for validation, 1 to N - 1.

        Returns:
            `(train, validation)`: the first N - rows images and the last `rows` images. Both share the memory of this
                data set.

        Raises:
            DataError: `rows` is not a whole number in this range.
        """
        if type(rows) is not int or not 0 < rows < len(self):
            raise DataError(f"hold_out: rows is {rows!r}, expected a whole number from 1 to {len(self) - 1}")
        first = len(self) - rows
        return self._rows(slice(0, first), "train"), self._rows(slice(first, None), "validation")

    def _rows(self, rows: slice, split: str) -> ImageDataset:
        return ImageDataset(self.images[rows], self.labels[rows], self.classes, self.name, split)


def _describe(tensor: torch.Tensor) -> str:
    return f"{tensor.dtype} {list(tensor.shape)}"
