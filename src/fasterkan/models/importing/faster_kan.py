"""The layout of checkpoints of the original FasterKAN: their names, what sizes they imply, and ours in their place."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..fasterkan import FasterKAN
from ..fasterkanvolver import FasterKANvolver
from ..pretrained import CheckpointError

_DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
_KEY = re.compile(r"(faster_kan_layers|layers)\.(\d+)\.(?:layernorm|rbf|spline_linear)\.")
_STEM = "feature_extractor.initial_layers"
_LAYER = {
    "norm.weight": "layernorm.weight",
    "norm.bias": "layernorm.bias",
    "grid": "rbf.grid",
    "inv_denominator": "rbf.inv_denominator",
    "weight": "spline_linear.weight",
}
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


@dataclasses.dataclass(frozen=True)
class OriginalState:
    """A state dict of the original, as it lies in the file at `path`; every method raises CheckpointError."""

    path: Path
    state: Mapping[str, Tensor]

    @cached_property
    def layers(self) -> str:
        """The name of the list of KAN layers, which tells the two models apart."""
        found = {match[1] for name in self.state if (match := _KEY.match(name))}
        if len(found) != 1:
            raise self.error(
                f"holds no FasterKAN and no FasterKANvolver of faster-kan: its names are {few(self.state)}, expected "
                "were some like layers.0.spline_linear.weight or faster_kan_layers.0.spline_linear.weight"
            )
        return found.pop()

    @property
    def convolutional(self) -> bool:
        """True for a FasterKANvolver."""
        return self.layers == "faster_kan_layers"

    @cached_property
    def count(self) -> int:
        """The number of KAN layers."""
        layers = self.layers
        numbers = sorted({int(match[2]) for name in self.state if (match := _KEY.match(name))})
        if numbers != list(range(len(numbers))):
            raise self.error(f"lacks a layer: of {layers} it has the numbers {numbers[:8]}")
        return len(numbers)

    def arguments(self) -> dict[str, Any]:
        """Return what the sizes and centres in the file say about the model."""
        norms, grids, weights = (
            [self._get(f"{self.layers}.{n}.{part}", dims) for n in range(self.count)]
            for part, dims in (("layernorm.weight", 1), ("rbf.grid", 1), ("spline_linear.weight", 2))
        )
        if norms[0].dtype not in _DTYPES:
            known = ", ".join(str(dtype).removeprefix("torch.") for dtype in _DTYPES)
            raise self.error(f"holds {norms[0].dtype} numbers, expected one of {known}")
        widths = [*(norm.numel() for norm in norms), weights[-1].shape[0]]
        low, high = (shortest(end) for end in torch.aminmax(grids[0])) if grids[0].numel() else (0.0, 0.0)
        channels = {"in_channels": self._get(f"{_STEM}.0.weight", 4).shape[1]} if self.convolutional else {}
        return {
            "layers_hidden": widths[1:] if self.convolutional else widths,
            "num_grids": grids[0].numel(),
            **({"grid_min": low, "grid_max": high} if low < high else {}),  # learned centres may have met
            **channels,
            "dtype": norms[0].dtype,
        }

    def convert(self, model: FasterKAN | FasterKANvolver) -> dict[str, Tensor]:
        """Return the tensors by `model`'s names and in its shapes, once names, shapes, dtypes and values are right."""
        wanted = {self.their_name(name): (name, tensor) for name, tensor in model.state_dict().items()}
        if missing := set(wanted) - set(self.state):
            raise self.error(f"lacks {few(missing)}")
        if unexpected := set(self.state) - set(wanted):
            raise self.error(f"holds more than a {type(model).__name__}: {few(unexpected)}")
        converted = {}
        for theirs, (ours, tensor) in wanted.items():
            got = self.state[theirs]
            shape = _their_shape(theirs, tensor)
            if got.shape != shape or got.dtype != tensor.dtype:
                raise self.error(
                    f"is no {type(model).__name__}: {theirs} is {got.dtype} {tuple(got.shape)}, expected "
                    f"{tensor.dtype} {tuple(shape)}"
                )
            if not bool(torch.isfinite(got).all()):
                raise self.error(f"holds NaN or infinity in {theirs}; use an earlier checkpoint")
            converted[ours] = got.reshape(tensor.shape).clone(memory_format=torch.contiguous_format)
        return converted

    def their_name(self, ours: str) -> str:
        """Return the original's name of one of our tensors."""
        if ours.startswith("features."):
            module, _, tensor = ours.removeprefix("features.").rpartition(".")
            return f"{_STEM}.{_FEATURES[module]}.{tensor}"
        _, number, rest = ours.removeprefix("head.").split(".", 2)
        return f"{self.layers}.{number}.{_LAYER[rest]}"

    def error(self, words: str) -> CheckpointError:
        """Return the error that says `words` of the file."""
        return CheckpointError(f"{self.path} {words}")

    def _get(self, name: str, dims: int) -> Tensor:
        if name not in self.state:
            raise self.error(f"lacks {name}; it has {few(self.state)}")
        tensor = self.state[name]
        if tensor.dim() != dims:
            raise self.error(f"holds {name} of shape {tuple(tensor.shape)}, expected {dims} dimensions")
        return tensor


def _their_shape(theirs: str, ours: Tensor) -> torch.Size:
    if theirs.endswith("spline_linear.weight"):
        return ours.flatten(1).shape  # [O, I * K] for [O, I, K]
    return torch.Size() if theirs.endswith("rbf.inv_denominator") else ours.shape


def shortest(value: Tensor) -> float:
    """Return the shortest decimal that rounds to the stored number: -1.2, not -1.2000000476837158."""
    return float(str((value if value.dtype == torch.float64 else value.float()).numpy()))


def few(names: Iterable[str]) -> str:
    """Return the first four names in order, and how many more there are."""
    listed = sorted(names)
    more = f" and {len(listed) - 4} more" if len(listed) > 4 else ""
    return (", ".join(listed[:4]) or "none") + more
