"""The names in a configuration: of models, of families of functions, and of the arguments of both."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping
from typing import Any, get_type_hints

from .._check import did_you_mean
from ..bases import Basis
from ..models.registry import list_models, what_it_takes

Pairs = tuple[tuple[str, Any], ...]


def suggest(name: str, known: Collection[str]) -> str:
    """Return "did you mean 'x'? known: x, y", without the question if no name is similar."""
    return f"{did_you_mean(name, known)}known: {', '.join(known)}"


def known_models() -> list[str]:
    """Return the names of all models, in lower case, as configurations write them."""
    return [name.lower() for name in list_models()]


def known_bases() -> list[str]:
    """Return the names of all families of functions, including those of other packages."""
    return sorted(Basis.registry, key=str.lower)


def model_name(name: object) -> str:
    """Return the name of a model in lower case.

    Raises:
        TypeError, ValueError: there is no such model. The message names the most similar one.
    """
    if not isinstance(name, str):
        raise TypeError(f"model must be a name, such as {known_models()[0]}; got {name!r}")
    if name.lower() not in known_models():
        raise ValueError(f"unknown model {name!r}; {suggest(name.lower(), known_models())}")
    return name.lower()


def basis_name(name: object) -> str:
    """Return the name of a family of functions in its registered spelling, for a name in upper or lower case.

    Raises:
        TypeError, ValueError: there is no such family. The message names the most similar one.
    """
    spelled = {each.lower(): each for each in known_bases()}
    if not isinstance(name, str):
        raise TypeError(f"basis must be the name of a family of functions, such as bspline; got {name!r}")
    if name.lower() not in spelled:
        raise ValueError(f"unknown basis {name!r}; {suggest(name, known_bases())}")
    return spelled[name.lower()]


def basis_types(basis: str) -> dict[str, Any]:
    """Return the annotated types of a family's arguments, by name."""
    family = Basis.registry[basis_name(basis)]
    hints = get_type_hints(family)
    return {field.name: hints[field.name] for field in dataclasses.fields(family) if field.init}


def check_argument(owner: str, name: str, known: Collection[str]) -> None:
    """Raise ValueError if `name` is not one of the `known` arguments of a model or a family."""
    if name not in known:
        raise ValueError(f"{owner} has no argument {name!r}; {suggest(name, known)}")


def what_else(model: str) -> str:
    """Return the part of a message that lists the arguments of a model."""
    takes = what_it_takes(model)
    basis = "basis with basis_args (--basis, --basis-arg) and " if takes.basis else ""
    return f"it takes {basis}model_args (--model-arg): {', '.join(takes.defaults)}"


def as_pairs(name: str, values: object) -> Pairs:
    """Return arguments as pairs, sorted by name, with tuples instead of lists, so that they are equal after JSON.

    Args:
        name: the name of the field, for messages.
        values: a mapping, or pairs.

    Raises:
        TypeError: `values` is neither, or a value is not a number, a string, True, False, None or a sequence of these.
    """
    items = [*values.items()] if isinstance(values, Mapping) else values
    if not isinstance(items, list | tuple) or not all(map(_is_pair, items)):
        raise TypeError(f'{name} must be values by their names, such as {{"degree": 3}}; got {values!r}')
    return tuple(sorted((key, _plain(f"{name}[{key!r}]", value)) for key, value in dict(items).items()))


def _is_pair(item: object) -> bool:
    return isinstance(item, list | tuple) and len(item) == 2 and isinstance(item[0], str)


def _plain(name: str, value: object) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_plain(name, each) for each in value)
    if value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise TypeError(
        f"{name} must be a finite number, a word, True, False or None, or a sequence of such; got {value!r}"
    )
