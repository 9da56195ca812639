"""Checkpoints of the original FasterKAN: FasterKAN and FasterKANvolver."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..._check import positive_number
from .._features import NUM_FEATURES, ConvFeatures
from ..fasterkan import FasterKAN
from ..fasterkanvolver import FasterKANvolver
from .foreign_state import ForeignState, build
from .grids import shortest
from .recognition import project_of

_NAME = "import_checkpoint"
_KEY = re.compile(r"(faster_kan_layers|layers)\.\d+\.(?:layernorm|rbf|spline_linear)\.")
_STEM = "feature_extractor.initial_layers"
_BLOCK = {
    "conv1": "conv1",
    "norm1": "bn1",
    "conv2": "conv2",
    "norm2": "bn2",
    "shortcut": "downsample.0",
    "shortcut_norm": "downsample.1",
}
_FEATURES = {
    "stem": "0",
    "stem_norm": "2",
    **{f"block1.{ours}": f"5.{theirs}" for ours, theirs in _BLOCK.items()},
    "gate1.squeeze": "6.fc.0",
    "gate1.excite": "6.fc.2",
    "depthwise": "9.depthwise",
    "pointwise": "9.pointwise",
    **{f"block2.{ours}": f"11.{theirs}" for ours, theirs in _BLOCK.items()},
    "gate2.squeeze": "12.fc.0",
    "gate2.excite": "12.fc.2",
    "attention.query": "15.query_conv",
    "attention.key": "15.key_conv",
    "attention.value": "15.value_conv",
    "attention": "15",
}


def import_faster_kan(
    path: Path,
    image_size: int | Sequence[int] | None = None,
    inv_denominator: float | None = None,
    train_grid: bool | None = None,
    train_inv_denominator: bool | None = None,
) -> FasterKAN | FasterKANvolver:
    """Return the FasterKAN or the FasterKANvolver in a file of AthanasiosDelis/faster-kan.

    A whole pickled model contains more than its state dict: the size of images, which tensors are learned, and 1/h of
    early versions.

    Args:
        path: it holds `layers.N.{layernorm.weight, layernorm.bias, rbf.grid, rbf.inv_denominator,
            spline_linear.weight}`, for a FasterKANvolver under `faster_kan_layers` and with
            `feature_extractor.initial_layers.*`.
        image_size: image size of a FasterKANvolver; default the size in the file, else 28.
        inv_denominator: 1/h, only for a file without it.
        train_grid: whether further training learns the centres; default the value in the file, else False.
        train_inv_denominator: whether further training learns 1/h; default the value in the file, else False.
    """
    file = ForeignState(path, "faster-kan", "FasterKAN or FasterKANvolver of faster-kan")
    lists = {match[1] for name in file.state if (match := _KEY.match(name))}
    found = project_of(file.state)
    if len(lists) != 1 or (found is not None and found.source == "fast-kan"):
        raise file.holds_none("layers.0.spline_linear.weight or faster_kan_layers.0.spline_linear.weight")
    layers = lists.pop()
    convolutional = layers == "faster_kan_layers"
    file.what = "FasterKANvolver" if convolutional else "FasterKAN"
    if not convolutional and image_size is not None:
        raise ValueError(f"{_NAME}: image_size is for a FasterKANvolver, {path} holds a FasterKAN")
    count = file.count(rf"{layers}\.(\d+)\.", f"{layers}.0.spline_linear.weight")
    inverse = _inverse(file, [f"{layers}.{n}.rbf.inv_denominator" for n in range(count)], inv_denominator)
    asked = {"grid": train_grid, "inv_denominator": train_inv_denominator}
    learned = {
        f"train_{name}": f"{layers}.0.rbf.{name}" in file.learned if train is None else train
        for name, train in asked.items()
    }
    if not convolutional:
        state, arguments = _kan_layers(file, layers, count, inverse)
        return build(file, state, FasterKAN, **arguments, **learned)
    FasterKANvolver([1], image_size=image_size, device="meta")  # what it says against image_size is no file's fault
    features = _features(file)
    channels = features["features.stem.weight"].shape[1]
    head, arguments = _kan_layers(file, layers, count, inverse, NUM_FEATURES)
    state = features | {f"head.{name}": tensor for name, tensor in head.items()}
    size = _viewed_size(file) if image_size is None else image_size
    arguments |= {"layers_hidden": arguments["layers_hidden"][1:], "in_channels": channels, "image_size": size}
    return build(file, state, FasterKANvolver, **arguments, **learned)


def _inverse(file: ForeignState, names: list[str], given: float | None) -> float:
    """Take every layer's 1/h, if the file has it, and return the value that the original used."""
    if any(name in file for name in names):
        if given is not None:
            raise ValueError(
                f"{_NAME}: {file.path} holds {names[0]}, which the original ignored: it computed with 1.0; leave "
                "inv_denominator out"
            )
        for name in names:
            file.take(name)
        return 1.0
    told = [file.attributes.get(name) for name in names]
    if given is None and isinstance(told[0], float) and told[0] > 0 and told.count(told[0]) == len(told):
        return told[0]
    if given is None:
        raise file.error(
            "lacks rbf.inv_denominator, as files of before 17 May 2024 do, so it does not tell 1/h; give it: "
            f"{_NAME}(path, inv_denominator=1 / 0.33) is that version's default. A FastKAN without base branch looks "
            "the same: for one, give source='fast-kan'"
        )
    return positive_number(_NAME, "inv_denominator", given)


def _viewed_size(file: ForeignState) -> list[int] | None:
    """The size of images in a whole FasterKANvolver, as [-1, C, H, W]."""
    view = file.attributes.get("view")
    if view is None:
        return None
    if not isinstance(view, list | tuple) or len(view) != 4 or not all(isinstance(size, int) for size in view):
        raise file.error(f"is not a {file.what}: view is {view!r}, expected [-1, channels, height, width]")
    return list(view[2:])


def _kan_layers(
    file: ForeignState, layers: str, count: int, inverse: float, inputs: int | None = None
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Take the KAN layers: their tensors by the names in a FasterKAN, and the arguments that they imply."""
    state: dict[str, Tensor] = {}
    widths: list[int] = []
    grids: list[Tensor] = []
    for n in range(count):
        theirs, ours = f"{layers}.{n}", f"layers.{n}"
        gain = file.take(f"{theirs}.layernorm.weight", widths[-1] if widths else inputs)
        grid = file.take(f"{theirs}.rbf.grid", len(grids[0]) if grids else None)
        weight = file.take(f"{theirs}.spline_linear.weight", None, len(gain) * len(grid))
        state |= {
            f"{ours}.norm.weight": gain,
            f"{ours}.norm.bias": file.take(f"{theirs}.layernorm.bias", len(gain)),
            f"{ours}.grid": grid,
            f"{ours}.inv_denominator": torch.full((1,), inverse, dtype=gain.dtype, device=gain.device),
            f"{ours}.weight": weight.view(len(weight), len(gain), len(grid)),
        }
        grids.append(grid)
        widths += [len(gain), len(weight)] if not widths else [len(weight)]
    low, high = (shortest(end) for end in torch.aminmax(grids[0]))
    ends = {"grid_min": low, "grid_max": high} if low < high else {}  # learned centres may have met
    return state, {"layers_hidden": widths, "num_grids": len(grids[0]), "inv_denominator": inverse, **ends}


def _features(file: ForeignState) -> dict[str, Tensor]:
    """Take the convolutions: their tensors by the names in a FasterKANvolver."""
    channels = file.take(f"{_STEM}.0.weight", None, None, None, None).shape[1]
    state: dict[str, Tensor] = {}
    for ours, tensor in ConvFeatures(channels, device="meta").state_dict().items():
        module, _, kind = ours.rpartition(".")
        theirs = f"{_STEM}.{_FEATURES[module]}.{kind}"
        counter = kind == "num_batches_tracked"
        state[f"features.{ours}"] = file.take_count(theirs) if counter else file.take(theirs, *tensor.shape)
    return state
