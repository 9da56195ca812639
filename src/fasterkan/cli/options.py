"""The fields of a `TrainConfig` as options of a command: names, types, defaults and help are read from it."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer

from ..train import TrainConfig, choices, field_docs

_HINTS = get_type_hints(TrainConfig)


def options() -> list[inspect.Parameter]:
    """Return a keyword parameter for each field but `dataset`; None means that the option was not given."""
    docs = field_docs()
    return [
        _option(field, docs.get(field.name, "")) for field in dataclasses.fields(TrainConfig) if field.name != "dataset"
    ]


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that were given, by name, as `TrainConfig` takes them.

    Raises:
        ValueError: a text is not a number or a list of numbers where one is needed.
    """
    return {name: _parse(name, value) for name, value in values.items() if value is not None}


def flag(name: str) -> str:
    """Return the option of a field: `batch_size` is `--batch-size`."""
    return f"--{name.replace('_', '-')}"


def numbers(kind: type[int] | type[float], name: str, text: str) -> tuple[Any, ...]:
    """Return the numbers of a text such as "784,256,10".

    Raises:
        ValueError: one of them is none.
    """
    return tuple(_number(kind, name, part) for part in text.split(","))


def _option(field: dataclasses.Field[Any], doc: str) -> inspect.Parameter:
    names = [flag(field.name)]
    kind, metavar = _kind(field.name)
    if kind is bool:
        names = [f"{names[0]}/--no-{names[0].removeprefix('--')}"]
    help_ = doc if field.default in (None, ()) else f"{doc} [default: {_text(field.default)}]"
    setting = typer.Option(*names, help=help_, metavar=metavar, show_default=False)
    return inspect.Parameter(
        field.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, setting]
    )


def _kind(name: str) -> tuple[type, str | None]:
    """The type that the command line parses, and what stands for the value in the help."""
    hint, words = _HINTS[name], choices(name)
    kinds = get_args(hint)
    if get_origin(hint) is tuple:
        return str, f"{kinds[0].__name__.upper()},..."
    if float in kinds and words:
        return str, "|".join(["FLOAT", *words])
    if words:
        return str, "|".join(words)
    return (hint if isinstance(hint, type) else kinds[0]), None


def _parse(name: str, value: Any) -> Any:
    hint = _HINTS[name]
    if get_origin(hint) is tuple:
        return numbers(get_args(hint)[0], name, value)
    if float in get_args(hint) and isinstance(value, str) and value not in choices(name):
        return _number(float, name, value)
    return value


def _number(kind: type[int] | type[float], name: str, text: str) -> float:
    try:
        return kind(text)
    except ValueError as error:
        expected = "a whole number" if kind is int else "a number"
        hint = "".join(f' or "{word}"' for word in (choices(name) if name in _HINTS else ()))
        raise ValueError(f"{flag(name)}: {text!r} is not {expected}{hint}") from error


def _text(default: Any) -> str:
    if isinstance(default, tuple):
        return ",".join(map(str, default))
    return {True: "on", False: "off"}[default] if isinstance(default, bool) else str(default)
