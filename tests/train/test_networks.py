"""The network of a configuration, and whether it fits the images."""

from __future__ import annotations

import pytest
import torch

import fasterkan as fk
from fasterkan.data import ImageDataset
from fasterkan.train import TrainConfig, build_model, check_fit
from fasterkan.train.networks import check_batches, image_shape, least_images, with_layers


def pictures(*shape, classes=3):
    images = torch.zeros(2, *shape, dtype=torch.uint8)
    return ImageDataset(images, torch.tensor([0, 1]), tuple("abcdef"[:classes]), "pictures")


@pytest.mark.parametrize(
    ("model", "shape", "layers"),
    [
        ("fasterkan", (8, 9), (72, 256, 3)),
        ("fasterkan", (3, 8, 8), (192, 256, 3)),
        ("fasterkanvolver", (3, 32, 32), (64, 3)),
        ("kan", (3, 8, 8), (192, 256, 3)),
        ("mlp", (8, 9), (72, 256, 3)),
        ("kanvolver", (8, 9), (64, 3)),
        ("reskannet", (3, 8, 8), (64, 3)),
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


def test_the_basis_and_other_arguments_arrive():
    config = TrainConfig(
        model="kan", layers=(64, 5, 3), basis="hat", basis_args={"num_grids": 5}, seed=3,
        model_args={"base": "silu", "norm": ("rms", None), "bias": False},
    )  # fmt: skip
    expected = fk.KAN(
        [64, 5, 3], fk.Hat(num_grids=5), base="silu", norm=["rms", None], bias=False,
        generator=torch.Generator().manual_seed(3),
    )  # fmt: skip
    model = build_model(config)
    assert model.to_config() == expected.to_config()
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), expected.parameters(), strict=True))


def test_kernels_lie_channels_last():
    config = TrainConfig(model="reskannet", layers=(3,), basis="chebyshev", model_args={"channels": (4, 6)})
    model = build_model(config, (2, 8, 8))
    assert (model.in_channels, model.image_size, model.channels, model.basis) == (2, (8, 8), (4, 6), fk.Chebyshev())
    assert model.stem[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert model.stages[0].conv1.weight.is_contiguous()


def test_an_input_norm_that_is_not_learned_cannot_be_frozen():
    model = build_model(TrainConfig(model="fastkan", layers=(64, 5, 3), freeze_input_norm=True))
    assert [n for n, p in model.named_parameters() if not p.requires_grad] == [
        "layers.0.norm.weight", "layers.0.norm.bias"
    ]  # fmt: skip
    for name, arguments in (("mlp", {}), ("relukan", {}), ("kan", {"norm": "feature"}), ("kan", {"norm": None})):
        config = TrainConfig(model=name, layers=(64, 5, 3), model_args=arguments, freeze_input_norm=True)
        with pytest.raises(ValueError, match=rf"^freeze_input_norm: the first layer of this {name} has no norm that "):
            build_model(config)


@pytest.mark.parametrize(
    ("name", "least"), [("kan", 1), ("fasterkanvolver", 1), ("wavkan", 2), ("kanvolver", 2), ("reskannet", 2)]
)
def test_least_images(name, least):
    config = TrainConfig(model=name, layers=(784, 5, 3), batch_size=1)
    model = build_model(config)
    assert least_images(model) == least
    if least == 1:
        check_batches(model, config, 9)
    else:
        for size, rows in ((1, 9), (9, 1)):
            with pytest.raises(
                ValueError, match=r"^a batch of 1 image is too small for \w+, whose batch norms need two"
            ):
                check_batches(model, TrainConfig(batch_size=size), rows)
    check_batches(model, TrainConfig(batch_size=2), 2)


@pytest.mark.parametrize(
    ("model", "shape", "message"),
    [
        (TrainConfig(layers=(64, 3)), (8, 9), "layers 64,3 do not fit pictures: it has 72 pixels and 3 classes, so "),
        (TrainConfig(layers=(72, 4)), (8, 9), "layers must be 72,...,3"),
        (TrainConfig(model="fasterkanvolver", layers=(4,)), (28, 28), "so layers must be ...,3"),
        (TrainConfig(model="fasterkanvolver", layers=(3,)), (3, 28, 28), "those of pictures are [3, 28, 28]"),
        (TrainConfig(model="fasterkanvolver", layers=(3,)), (20, 28), "those of pictures are [1, 20, 28]"),
        (TrainConfig(model="kanvolver", layers=(3,)), (20, 28), "this KANvolver is made for images of [1, 28, 28] "),
        (TrainConfig(model="mlp", layers=(64, 3)), (8, 9), "so layers must be 72,...,3"),
    ],
)
def test_misfits(model, shape, message):
    with pytest.raises(ValueError) as caught:
        check_fit(build_model(model), pictures(*shape))
    assert message in str(caught.value)


def test_networks_of_others_pass():
    check_fit(torch.nn.Linear(2, 2), pictures(8, 9))
    check_fit(torch.nn.Conv2d(2, 2, 3), pictures(8, 9))


def test_image_shape():
    assert image_shape(fk.ResKANNet([3], channels=(3,), in_channels=2, image_size=(4, 5))) == (2, 4, 5)
    assert image_shape(fk.KAN([8, 3])) is image_shape(torch.nn.Conv2d(2, 2, 3)) is None
