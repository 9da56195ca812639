"""The names in a configuration: of models, of families of functions, and of the arguments of both."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Collection, Mapping
from typing import Any, get_type_hints

from ..bases import Basis
from ..models.registry import list_models, what_it_takes

Pairs = tuple[tuple[str, Any], ...]


def suggest(name: str, known: Collection[str]) -> str:
    """Return "did you mean 'x'? known: x, y", without the question when nothing is near."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"{f'did you mean {near[0]!r}? ' if near else ''}known: {', '.join(known)}"


def known_models() -> list[str]:
    """Return the names of all models, in lower case, as configurations write them."""
    return [name.lower() for name in list_models()]


def known_bases() -> list[str]:
    """Return the names of all families of functions, those of other packages included."""
    return sorted(Basis.registry, key=str.lower)


def model_name(name: object) -> str:
    """Return the name of a model in lower case.

    Raises:
        TypeError, ValueError: no model has it; the message has the nearest.
    """
    if not isinstance(name, str):
        raise TypeError(f"model must be a name, such as {known_models()[0]}; got {name!r}")
    if name.lower() not in known_models():
        raise ValueError(f"unknown model {name!r}; {suggest(name.lower(), known_models())}")
    return name.lower()


def basis_name(name: object) -> str:
    """Return the name of a family of functions as it is spelled; upper and lower case are the same.

    Raises:
        TypeError, ValueError: no family has it; the message has the nearest.
    """
    spelled = {each.lower(): each for each in known_bases()}
    if not isinstance(name, str):
        raise TypeError(f"basis must be the name of a family of functions, such as bspline; got {name!r}")
    if name.lower() not in spelled:
        near = difflib.get_close_matches(name.lower(), spelled, n=1)
        raise ValueError(f"unknown basis {name!r}; {suggest(spelled[near[0]] if near else name, known_bases())}")
    return spelled[name.lower()]


def basis_types(basis: str) -> dict[str, Any]:
    """Return the types of a family's arguments, by name."""
    family = Basis.registry[basis_name(basis)]
    hints = get_type_hints(family)
    return {field.name: hints[field.name] for field in dataclasses.fields(family) if field.init}


def check_argument(owner: str, name: str, known: Collection[str]) -> None:
    """Raise ValueError, with the nearest name, unless a model or a family has an argument."""
    if name not in known:
        raise ValueError(f"{owner} has no argument {name!r}; {suggest(name, known)}")


def what_else(model: str) -> str:
    """Say which arguments a model takes."""
    takes = what_it_takes(model)
    basis = "basis with basis_args (--basis, --basis-arg) and " if takes.basis else ""
    return f"it takes {basis}model_args (--model-arg): {', '.join(takes.defaults)}"


def as_pairs(name: str, values: object) -> Pairs:
    """Return arguments as pairs in the order of their names, lists as tuples: comparable, and equal after JSON.

    Args:
        name: of the field, for messages.
        values: a mapping, or pairs.

    Raises:
        TypeError: they are neither, or a value is no number, word, True, False, None, or sequence of such.
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
