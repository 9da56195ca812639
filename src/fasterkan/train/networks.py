"""The network of a configuration."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from ..data import ImageDataset
from ..models import FasterKAN, FasterKANvolver
from .config import TrainConfig

_HIDDEN = {"fasterkan": 256, "fasterkanvolver": 64}


def with_layers(config: TrainConfig, data: ImageDataset) -> TrainConfig:
    """Return the configuration with the default layers for some images where it names none.

    They are pixels, 256, classes for a `FasterKAN`, and 64, classes for a `FasterKANvolver`.

    Raises:
        ValueError: the layers that it names do not fit the images.
    """
    if not config.layers:
        first = (data.images[0].numel(),) if config.model == "fasterkan" else ()
        return dataclasses.replace(config, layers=(*first, _HIDDEN[config.model], data.num_classes))
    _check_layers(config.layers, data, pixels_first=config.model == "fasterkan")
    return config


def build_model(config: TrainConfig, image: Sequence[int] = (28, 28)) -> FasterKAN | FasterKANvolver:
    """Return the network of a configuration with the initial weights of its seed.

    Args:
        config: names its layers.
        image: shape of an image, [H, W] or [C, H, W]; of a `FasterKAN` its layers say enough.
    """
    settings: dict[str, Any] = {
        "grid_min": config.grid_min,
        "grid_max": config.grid_max,
        "num_grids": config.num_grids,
        "exponent": config.exponent,
        "inv_denominator": config.inv_denominator,
        "train_grid": config.train_grid,
        "train_inv_denominator": config.train_inv_denominator,
        "norm_gain": config.norm_gain,
        "generator": torch.Generator().manual_seed(config.seed),
    }
    model: FasterKAN | FasterKANvolver
    if config.model == "fasterkan":
        model = FasterKAN(config.layers, **settings)
    else:
        channels = image[0] if len(image) == 3 else 1
        model = FasterKANvolver(config.layers, in_channels=channels, image_size=tuple(image[-2:]), **settings)
        # the faster layout for convolutions on CPUs
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if config.freeze_input_norm:
        norm = model.kan_layers()[0].norm
        assert isinstance(norm, nn.Module)
        norm.requires_grad_(False)
    return model


def check_fit(model: nn.Module, data: ImageDataset) -> None:
    """Raise ValueError unless a model takes the images and has an output for each class.

    Networks that do not say their sizes in `layers_hidden` pass.
    """
    if isinstance(model, FasterKANvolver):
        image = tuple(data.images.shape[1:])
        image = image if len(image) == 3 else (1, *image)
        if image != (model.in_channels, *model.image_size):
            raise ValueError(
                f"this FasterKANvolver is made for images of {[model.in_channels, *model.image_size]} (channels, "
                f"height, width), those of {data.name} are {list(image)}"
            )
    if layers := getattr(model, "layers_hidden", None):
        _check_layers(layers, data, pixels_first=not isinstance(model, FasterKANvolver))


def _check_layers(layers: Sequence[int], data: ImageDataset, *, pixels_first: bool) -> None:
    pixels, classes = data.images[0].numel(), data.num_classes
    if layers[-1] != classes or (pixels_first and layers[0] != pixels):
        needed = f"{pixels},...,{classes}" if pixels_first else f"...,{classes}"
        raise ValueError(
            f"layers {','.join(map(str, layers))} do not fit {data.name}: it has {pixels} pixels and "
            f"{classes} classes, so layers must be {needed}"
        )
