"""Batches: every image once an epoch, in a new order, scaled and moved."""

from __future__ import annotations

import pytest
import torch

from fasterkan.data import ImageDataset
from fasterkan.train.augment import Augmentation
from fasterkan.train.batches import Batches


def numbered(rows):
    """Image n is full of n, and so is its label."""
    labels = torch.arange(rows)
    return ImageDataset(labels.to(torch.uint8).view(-1, 1, 1).repeat(1, 2, 3), labels, tuple(map(str, labels.tolist())))


def test_every_image_once_with_its_label():
    batches = Batches(numbered(12), 4, Augmentation())
    found = list(batches.epoch(0))
    assert len(batches) == len(found) == 3
    assert [x.shape for x, _ in found] == [(4, 6)] * 3
    labels = torch.cat([y for _, y in found])
    assert sorted(labels.tolist()) == list(range(12))
    assert torch.equal(torch.cat([x for x, _ in found]), labels.float().div(255).view(-1, 1).expand(12, 6))


def test_another_order_each_epoch_the_same_for_a_seed():
    first, again, other = (Batches(numbered(50), 50, Augmentation(), seed=seed) for seed in (1, 1, 2))
    epochs = [next(batches.epoch(0))[1].tolist() for batches in (first, first, again, other)]
    assert epochs[0] == epochs[2]
    assert epochs[0] != epochs[1]
    assert epochs[0] != epochs[3]


def test_rows_left_over_wait_for_another_epoch():
    batches = Batches(numbered(11), 4, Augmentation())
    assert [len(y) for _, y in batches.epoch(0)] == [4, 4]


def test_fewer_images_than_a_batch():
    assert [len(y) for _, y in Batches(numbered(3), 8, Augmentation()).epoch(0)] == [3]


@pytest.mark.parametrize("augmented", [-3, 0, 1, 9])
def test_the_first_batches_are_augmented(augmented):
    found = list(Batches(numbered(20), 5, Augmentation(shift=1.0)).epoch(augmented))
    moved = [not torch.equal(x, y.float().div(255).view(-1, 1).expand(5, 6)) for x, y in found]
    assert moved == [i < augmented for i in range(4)]


def test_no_image():
    empty = ImageDataset(torch.zeros(0, 2, 2, dtype=torch.uint8), torch.zeros(0, dtype=torch.int64), ("a",))
    with pytest.raises(ValueError, match="has no image to train on"):
        Batches(empty, 4, Augmentation())
