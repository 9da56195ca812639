"""The network of a configuration."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from ..data import ImageDataset
from ..models import Pretrained, create_model
from ..models.registry import what_it_takes
from ..nn import KANLinear
from .config import TrainConfig

_HIDDEN, _HIDDEN_BEHIND_CONVOLUTIONS = 256, 64


def with_layers(config: TrainConfig, data: ImageDataset) -> TrainConfig:
    """Return the configuration with the default layers for some images where it names none.

    They are (pixels, 256, classes), or (64, classes) after the features of a model with convolutions.

    Raises:
        ValueError: the layers that it names do not fit the images.
    """
    behind = what_it_takes(config.model).images
    if config.layers:
        _check_layers(config.layers, data, pixels_first=not behind)
        return config
    first = (_HIDDEN_BEHIND_CONVOLUTIONS,) if behind else (data.images[0].numel(), _HIDDEN)
    return dataclasses.replace(config, layers=(*first, data.num_classes))


def build_model(config: TrainConfig, image: Sequence[int] = (28, 28)) -> Pretrained:
    """Return the network of a configuration with the initial weights of its seed.

    Args:
        config: names its layers.
        image: shape of an image, [H, W] or [C, H, W]; only networks with convolutions need it.

    Raises:
        TypeError, ValueError: the model does not accept an argument, or has no input norm to freeze.
    """
    settings: dict[str, Any] = {**config.arguments(), "generator": torch.Generator("cpu").manual_seed(config.seed)}
    if config.basis is not None:
        settings["basis"] = config.chosen_basis()
    if what_it_takes(config.model).images:
        settings |= {"in_channels": image[0] if len(image) == 3 else 1, "image_size": tuple(image[-2:])}
    model = create_model(config.model, config.layers, **settings)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # the faster layout on CPUs
    if config.freeze_input_norm:
        _freeze_input_norm(config.model, model)
    return model


def _freeze_input_norm(name: str, model: nn.Module) -> None:
    layers: list[KANLinear] = getattr(model, "kan_layers", list)()
    norm = layers[0].norm if layers else None
    if not isinstance(norm, nn.Module) or not list(norm.parameters()):
        raise ValueError(f"freeze_input_norm: the first layer of this {name} has no norm that is learned; leave it out")
    norm.requires_grad_(False)


def image_shape(model: nn.Module) -> tuple[int, int, int] | None:
    """Return (channels, height, width) of the images that a model takes; None if it takes rows."""
    channels, size = getattr(model, "in_channels", None), getattr(model, "image_size", None)
    if not isinstance(channels, int) or not isinstance(size, tuple) or len(size) != 2:
        return None
    return channels, size[0], size[1]


def check_fit(model: nn.Module, data: ImageDataset) -> None:
    """Raise ValueError unless a model takes the images and has an output for each class.

    Networks that do not say their sizes in `layers_hidden` pass.
    """
    made_for = image_shape(model)
    if made_for is not None:
        image = tuple(data.images.shape[1:])
        image = image if len(image) == 3 else (1, *image)
        if image != made_for:
            raise ValueError(
                f"this {type(model).__name__} is made for images of {list(made_for)} (channels, height, width), those "
                f"of {data.name} are {list(image)}"
            )
    if layers := getattr(model, "layers_hidden", None):
        _check_layers(layers, data, pixels_first=made_for is None)


def least_images(model: nn.Module) -> int:
    """Return the least number of images in a training step: two if the model has a batch norm over rows, else one."""
    return 2 if any(isinstance(module, nn.BatchNorm1d) for module in model.modules()) else 1


def check_batches(model: nn.Module, config: TrainConfig, rows: int) -> None:
    """Raise ValueError if a training step would have fewer images than the model needs.

    Args:
        model: the model to train.
        config: gives the batch size.
        rows: number of training images.
    """
    least, size = least_images(model), min(config.batch_size, rows)
    if size < least:
        raise ValueError(
            f"a batch of {size} image is too small for {type(model).__name__}, whose batch norms need two in "
            "training; take a larger batch_size, and two training images at least"
        )


def _check_layers(layers: Sequence[int], data: ImageDataset, *, pixels_first: bool) -> None:
    pixels, classes = data.images[0].numel(), data.num_classes
    if layers[-1] != classes or (pixels_first and layers[0] != pixels):
        needed = f"{pixels},...,{classes}" if pixels_first else f"...,{classes}"
        raise ValueError(
            f"layers {','.join(map(str, layers))} do not fit {data.name}: it has {pixels} pixels and "
            f"{classes} classes, so layers must be {needed}"
        )
