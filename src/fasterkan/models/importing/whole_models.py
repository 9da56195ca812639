"""Whole pickled models of the original FasterKAN, read without its code.

A file from `torch.save(model, path)` names the model's classes. torch's restricted reader (`weights_only=True`) is told
that each of these names means `StandIn`: an object that stores the attributes in the file and has no methods.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from .._namesake import ELSEWHERE
from ..pretrained import CheckpointError


class StandIn:
    """Replaces one module of a pickled model: it has the attributes, but no code."""

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
            raise pickle.UnpicklingError("the attributes of a module are no dict of names")
        vars(self).update(state)


_FEATURES = ("EnhancedFeatureExtractor", "BasicResBlock", "SEBlock", "DepthwiseSeparableConv", "SelfAttention")
_BASIS = ("ReflectionalSwitchFunction", "SplineLinear")
_MODELS = ("FasterKAN", "FasterKANvolver", "FasterKANLayer", *_FEATURES)
_THEIRS = {
    "fastkan.fasterkan": (*_MODELS, *_BASIS),  # 12 to 17 May 2024
    "fasterkan.fasterkan": (*_MODELS, *_BASIS),  # all of them to 25 May 2024
    "fasterkan.fasterkan_layers": _MODELS,
    "fasterkan.fasterkan_basis": _BASIS,
    "fasterkan.feature_extractor": _FEATURES,
}
_TORCHS = {
    "torch.nn.modules.activation": ("ReLU", "Sigmoid"),
    "torch.nn.modules.batchnorm": ("BatchNorm2d",),
    "torch.nn.modules.container": ("ModuleList", "Sequential"),
    "torch.nn.modules.conv": ("Conv2d",),
    "torch.nn.modules.dropout": ("Dropout",),
    "torch.nn.modules.linear": ("Linear",),
    "torch.nn.modules.normalization": ("LayerNorm",),
    "torch.nn.modules.pooling": ("AdaptiveAvgPool2d", "MaxPool2d"),
    "torch.nn.parallel.data_parallel": ("DataParallel",),
}
STAND_INS: list[Any] = [
    (StandIn, f"{module}.{name}") for module, names in (_THEIRS | _TORCHS).items() for name in names
]
"""For `torch.serialization.safe_globals`: the class for each name."""


def names_their_classes(data: bytes) -> bool:
    """Return whether a file of torch.save names a class of the original."""
    return any(f"c{module}\n".encode() in data for module in _THEIRS)


def state_of(path: Path, model: StandIn | nn.Module) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the state dict of a model of stand-ins, and its other plain attributes by dotted names.

    Args:
        path: the file, for messages.
        model: a model of stand-ins; classes that the caller told torch to trust may be real modules.

    Raises:
        CheckpointError: the model is not a tree of modules.
    """
    tensors: dict[str, Tensor] = {}
    attributes: dict[str, Any] = {}
    waiting: list[tuple[str, object]] = [("", model)]
    seen: set[int] = set()
    while waiting:
        prefix, module = waiting.pop()
        fields = vars(module) if isinstance(module, StandIn | nn.Module) and id(module) not in seen else {}
        parameters, buffers, parts = (fields.get(kind) for kind in ("_parameters", "_buffers", "_modules"))
        if not (isinstance(parameters, dict) and isinstance(buffers, dict) and isinstance(parts, dict)):
            raise CheckpointError(
                f"{path} is not a whole model of faster-kan: {prefix.rstrip('.') or 'what it holds'} is not one of its "
                f"modules. If you trust the file, {ELSEWHERE}"
            )
        seen.add(id(module))
        tensors |= {f"{prefix}{name}": t for name, t in (parameters | buffers).items() if t is not None}
        plain = {name: value for name, value in fields.items() if isinstance(value, bool | int | float | list | tuple)}
        attributes |= {f"{prefix}{name}": value for name, value in plain.items()}
        waiting += [(f"{prefix}{name}.", part) for name, part in parts.items() if part is not None]
    return tensors, attributes
