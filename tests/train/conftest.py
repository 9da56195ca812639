"""Small labelled images: coloured corners, which any network learns in a few steps."""

from __future__ import annotations

import pytest
import torch

from fasterkan.data import ImageDataset


def draw_corners(rows: int = 400, seed: int = 0, classes: int = 4) -> ImageDataset:
    """Make a data set: 8 x 8 images of noise with one bright corner, whose number is the label."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (rows,), generator=generator)
    images = torch.randint(0, 100, (rows, 8, 8), generator=generator, dtype=torch.uint8)
    for corner, (down, right) in enumerate(((0, 0), (0, 5), (5, 0), (5, 5))[:classes]):
        images[labels == corner, down : down + 3, right : right + 3] += 120
    return ImageDataset(images, labels, tuple("abcd"[:classes]), "corners")


@pytest.fixture(scope="session")
def corners():
    """The function that makes a data set."""
    return draw_corners
