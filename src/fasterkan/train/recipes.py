"""Recipes: configurations with a known accuracy."""

from __future__ import annotations

import dataclasses
from typing import Any

from ..models.registry import what_it_takes
from .config import NETWORK, TrainConfig
from .names import model_name, suggest

_GPU = TrainConfig(
    dataset="mnist",
    num_grids=8,
    betas=(0.9, 0.98),
    schedule="linear",
    warmup=0.15,
    batch_size=512,
    ema=0.98,
    shift=2.0,
    rotate=12.0,
    scale=0.12,
    shear=0.15,
    elastic=1.5,
    augment_off=0.15,
    keep="last",
    precision="bf16",
    matmul="high",
)

RECIPES: dict[str, TrainConfig] = {
    "mnist-cpu": TrainConfig(
        dataset="mnist",
        layers=(784, 256, 10),
        num_grids=8,
        inv_denominator=3.0,
        norm_gain=0.3,
        freeze_input_norm=True,
        lr=3e-3,
        betas=(0.9, 0.98),
        weight_decay=0.1,
        schedule="linear",
        warmup=0.1,
        batch_size=256,
        epochs=16,
        label_smoothing=0.05,
        shift=1.5,
        rotate=8.0,
        scale=0.1,
        shear=0.1,
        augment_off=0.1,
        keep="last",
        matmul="medium",
    ),
    "fasterkan-gpu": dataclasses.replace(
        _GPU,
        model="fasterkan",
        layers=(784, 256, 10),
        inv_denominator=1.5,
        norm_gain=0.4,
        freeze_input_norm=True,
        lr=5e-3,
        weight_decay=0.1,
        batch_size=1024,
        label_smoothing=0.03,
        epochs=90,
    ),
    "fasterkanvolver-gpu": dataclasses.replace(
        _GPU,
        model="fasterkanvolver",
        layers=(64, 10),
        lr=3e-3,
        weight_decay=1.0,
        label_smoothing=0.05,
        epochs=15,
    ),
}
"""The recipes by name. "mnist-cpu" has a test accuracy of at least 98.9 % on MNIST, within a minute on two CPU cores.
"fasterkan-gpu" and "fasterkanvolver-gpu" are for one data-centre GPU. Their mean test accuracies over three seeds are
at least 99.2 % and 99.58 %, after about a minute and half a minute on an H100."""


def recipe(name: str, **changes: Any) -> TrainConfig:
    """Return a recipe, with some fields changed.

    Args:
        name: a key of `RECIPES`.
        changes: fields of `TrainConfig` with their new values.

    Raises:
        ValueError: there is no recipe with this name, or the recipe sets arguments that another model does not have.
        TypeError, ValueError: a change is outside its field's domain.

    Example:
        >>> recipe("mnist-cpu", seed=1).seed
        1
    """
    if name not in RECIPES:
        raise ValueError(f"unknown recipe {name!r}; {suggest(name, RECIPES)}")
    found, model = RECIPES[name], changes.get("model")
    if model is not None:
        takes = what_it_takes(model_name(model)).defaults
        if not NETWORK.keys() <= takes.keys():
            raise ValueError(
                f"recipe {name!r} sets arguments of {found.model}, which {model} does not have; leave out the recipe "
                "or the model"
            )
    return dataclasses.replace(found, **changes)
