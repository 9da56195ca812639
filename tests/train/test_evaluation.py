"""Evaluation against counts by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from fasterkan.data import ImageDataset
from fasterkan.train import evaluate


class FirstPixels(nn.Module):
    """Logits are ten times the first `classes` pixels."""

    def __init__(self, classes=3):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(10.0))
        self.classes = classes
        self.batches = []

    def forward(self, x):
        self.batches.append(len(x))
        assert not self.training
        return self.factor * x[:, : self.classes]


def scored(rows, labels):
    images = torch.tensor(rows, dtype=torch.uint8).view(len(rows), 2, 2)
    return ImageDataset(images, torch.tensor(labels), ("a", "b", "c"), "scored")


DATA = scored([[255, 0, 0, 9], [255, 0, 0, 9], [0, 255, 0, 9], [0, 0, 255, 9]], [0, 1, 1, 2])


def test_accuracy_loss_and_confusion():
    outcome = evaluate(FirstPixels(), DATA)
    assert outcome.accuracy == 0.75
    assert outcome.rows == 4
    assert outcome.confusion == ((1, 0, 0), (1, 1, 0), (0, 0, 1))
    right, wrong = math.log(1 + 2 * math.exp(-10)), 10 + math.log(1 + 2 * math.exp(-10))
    assert outcome.loss == pytest.approx((3 * right + wrong) / 4, rel=1e-6)
    assert outcome.to_dict()["confusion"] == [[1, 0, 0], [1, 1, 0], [0, 0, 1]]


def test_batches_do_not_matter():
    model = FirstPixels()
    assert evaluate(model, DATA, batch_size=3) == evaluate(model, DATA)
    assert model.batches == [3, 1, 4]


def test_modes_are_left_as_found():
    model = nn.Sequential(nn.Dropout(0.9), FirstPixels())
    model.train()
    model[1].eval()
    before = torch.random.get_rng_state()
    evaluate(model, DATA)
    assert (model.training, model[0].training, model[1].training) == (True, True, False)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_modes_are_left_as_found_when_it_fails():
    model = FirstPixels(classes=2).train()
    with pytest.raises(ValueError, match=r"the model has 2 outputs, scored has 3 classes"):
        evaluate(model, DATA)
    assert model.training


def test_no_image():
    empty = ImageDataset(torch.zeros(0, 2, 2, dtype=torch.uint8), torch.zeros(0, dtype=torch.int64), ("a",))
    with pytest.raises(
        ValueError, match=r"evaluate: ImageDataset\(images, train: 0 images of 2 x 2, 1 classes\) has no"
    ):
        evaluate(FirstPixels(), empty)
