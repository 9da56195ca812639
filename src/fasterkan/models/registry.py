"""Models by name: what there is, what each takes, and how to make one."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import inspect
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any, get_type_hints

from . import presets
from .conv_net import ResKANNet
from .fasterkan import FasterKAN
from .fasterkanvolver import FasterKANvolver
from .kan import KAN
from .kanvolver import KANvolver
from .mlp import MLP
from .pretrained import Pretrained

MODELS: dict[str, Callable[..., Pretrained]] = {
    "FasterKAN": FasterKAN,
    "FasterKANvolver": FasterKANvolver,
    "KAN": KAN,
    "KANvolver": KANvolver,
    "MLP": MLP,
    "ResKANNet": ResKANNet,
    **{name: getattr(presets, name) for name in presets.__all__},
}

_OF_IMAGES = ("in_channels", "image_size", "view")
"""Arguments that the images decide."""
_OF_TENSORS = ("device", "dtype", "generator")


@dataclasses.dataclass(frozen=True)
class Takes:
    """What a model takes besides its widths, as its constructor says."""

    images: bool
    """Whether it takes images [C, H, W], of a size that it is told, and widths that begin behind its features; else it
    takes rows, as wide as its first width."""
    basis: bool
    """Whether a basis can be chosen for it."""
    defaults: Mapping[str, Any]
    """Its other arguments by name, with their defaults; without device, dtype and generator."""
    types: Mapping[str, Any]
    """The types of those, as they are annotated."""


def what_it_takes(name: str) -> Takes:
    """Return what a model takes.

    Args:
        name: one of `list_models()`; upper and lower case are the same.

    Raises:
        KeyError: the name is unknown.

    Example:
        >>> what_it_takes("mlp").defaults
        {'activation': 'silu', 'bias': True}
    """
    return _read(MODELS[{model.lower(): model for model in MODELS}[name.lower()]])


@functools.cache
def _read(model: Callable[..., Pretrained]) -> Takes:
    _, *parameters = inspect.signature(model).parameters.values()
    names = [parameter.name for parameter in parameters]
    other = [p for p in parameters if p.name not in ("basis", *_OF_IMAGES, *_OF_TENSORS)]
    hints = get_type_hints(model.__init__ if isinstance(model, type) else model)  # type: ignore[misc]
    return Takes(
        images="image_size" in names,
        basis="basis" in names,
        defaults={p.name: p.default for p in other},
        types={p.name: hints[p.name] for p in other},
    )


def create_model(name: str, *args: Any, **overrides: Any) -> Pretrained:
    """Return a fresh model by its name, "FastKAN" say; upper and lower case are the same.

    Args:
        name: one of `list_models()`.
        args: its arguments in order, most often the widths.
        overrides: its arguments by name; what is left out has the authors' default.

    Raises:
        TypeError, ValueError: the name is unknown, or the model refuses an argument.

    Example:
        >>> import torch
        >>> create_model("fastkan", [784, 256, 10], num_grids=5)(torch.rand(2, 784)).shape
        torch.Size([2, 10])
    """
    known = {model.lower(): model for model in MODELS}
    if not isinstance(name, str):
        raise TypeError(f"create_model: name must be a string, got {name!r}; known: {', '.join(list_models())}")
    if name.lower() not in known:
        near = difflib.get_close_matches(name.lower(), known, n=3)
        hint = f"did you mean {' or '.join(repr(known[n]) for n in near)}? " if near else ""
        raise ValueError(f"create_model: model {name!r} is unknown; {hint}known: {', '.join(list_models())}")
    model = MODELS[known[name.lower()]]
    _check_names(known[name.lower()], model, overrides)
    return model(*args, **overrides)


def _check_names(name: str, model: Callable[..., Pretrained], overrides: dict[str, Any]) -> None:
    parameters = inspect.signature(model).parameters
    for unknown in (name for name in overrides if name not in parameters):
        near = difflib.get_close_matches(unknown, parameters, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise TypeError(f"create_model: {name} has no argument {unknown!r}; {hint}it has: {', '.join(parameters)}")


def list_models(pattern: str = "*") -> list[str]:
    """Return the names of the models that match a pattern, in alphabetical order.

    Args:
        pattern: as for file names, * for anything and ? for one letter; upper and lower case are the same.

    Example:
        >>> list_models("f*kan")
        ['FasterKAN', 'FastKAN', 'FourierKAN']
    """
    if not isinstance(pattern, str):
        raise TypeError(f'list_models: pattern must be a string such as "*kan*", got {pattern!r}')
    return sorted((name for name in MODELS if fnmatchcase(name.lower(), pattern.lower())), key=str.lower)
