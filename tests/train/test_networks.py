"""The network of a configuration, and whether it fits the images."""

from __future__ import annotations

import pytest
import torch

import fasterkan as fk
from fasterkan.data import ImageDataset
from fasterkan.train import TrainConfig, build_model, check_fit
from fasterkan.train.networks import with_layers


def pictures(*shape, classes=3):
    images = torch.zeros(2, *shape, dtype=torch.uint8)
    return ImageDataset(images, torch.tensor([0, 1]), tuple("abcdef"[:classes]), "pictures")


@pytest.mark.parametrize(
    ("model", "shape", "layers"),
    [
        ("fasterkan", (8, 9), (72, 256, 3)),
        ("fasterkan", (3, 8, 8), (192, 256, 3)),
        ("fasterkanvolver", (3, 32, 32), (64, 3)),
    ],
)
def test_default_layers(model, shape, layers):
    config = with_layers(TrainConfig(model=model), pictures(*shape))
    assert config == TrainConfig(model=model, layers=layers)
    assert with_layers(config, pictures(*shape)) is config


@pytest.mark.parametrize(("shape", "channels"), [((20, 28), 1), ((3, 20, 28), 3)])
def test_fasterkanvolver(shape, channels):
    config = TrainConfig(model="fasterkanvolver", layers=(5, 3), num_grids=5, grid_max=0.7, freeze_input_norm=True)
    model, again = (build_model(config, shape) for _ in range(2))
    assert type(model) is fk.FasterKANvolver
    assert (model.layers_hidden, model.in_channels, model.image_size) == ((5, 3), channels, (20, 28))
    assert model.head.basis == fk.FasterKAN([256, 5, 3], grid_max=0.7, num_grids=5).basis
    frozen = [name for name, p in model.named_parameters() if not p.requires_grad]
    assert frozen == ["head.layers.0.norm.weight", "head.layers.0.norm.bias"]
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), again.parameters(), strict=True))
    check_fit(model, pictures(*shape))


@pytest.mark.parametrize(
    ("model", "shape", "message"),
    [
        (TrainConfig(layers=(64, 3)), (8, 9), "layers 64,3 do not fit pictures: it has 72 pixels and 3 classes, so "),
        (TrainConfig(layers=(72, 4)), (8, 9), "layers must be 72,...,3"),
        (TrainConfig(model="fasterkanvolver", layers=(4,)), (28, 28), "so layers must be ...,3"),
        (TrainConfig(model="fasterkanvolver", layers=(3,)), (3, 28, 28), "those of pictures are [3, 28, 28]"),
        (TrainConfig(model="fasterkanvolver", layers=(3,)), (20, 28), "those of pictures are [1, 20, 28]"),
    ],
)
def test_misfits(model, shape, message):
    with pytest.raises(ValueError) as caught:
        check_fit(build_model(model), pictures(*shape))
    assert message in str(caught.value)


def test_networks_of_others_pass():
    check_fit(torch.nn.Linear(2, 2), pictures(8, 9))
