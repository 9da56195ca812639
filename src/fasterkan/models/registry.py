"""Models by name: a list of them, the arguments of each, and a function that makes one."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import inspect
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any, get_type_hints

from .._check import did_you_mean
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
"""Arguments that depend on the images."""
_OF_TENSORS = ("device", "dtype", "generator")


@dataclasses.dataclass(frozen=True)
class Takes:
    """The arguments of a model besides its widths, read from the signature of its constructor."""

    images: bool
    """True: the model takes images [C, H, W] of a fixed size, and its widths begin after its features. False: it takes
    rows, and the first width is the number of columns."""
    basis: bool
    """Whether the basis can be chosen."""
    defaults: Mapping[str, Any]
    """The defaults of the other arguments, by name; without device, dtype and generator."""
    types: Mapping[str, Any]
    """The annotated types of the arguments in `defaults`."""


def what_it_takes(name: str) -> Takes:
    """Return the arguments of a model.

    Args:
        name: one of `list_models()`, in upper or lower case.

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
    """Return a new model by its name, such as "FastKAN".

    Args:
        name: one of `list_models()`, in upper or lower case.
        args: positional arguments of the model, usually the widths.
        overrides: arguments of the model by name. The others have the defaults of the model's authors.

    Raises:
        TypeError, ValueError: the name is unknown, or the model does not accept an argument.

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
        hint = did_you_mean(unknown, parameters)
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
