"""The fields of a `TrainConfig` as options of a command: names, types, defaults and help are read from it."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer

from ..models.registry import what_it_takes
from ..train import TrainConfig, choices, field_docs
from ..train.config import NETWORK, PAIRS
from ..train.names import basis_types, known_bases, known_models, model_name
from .values import read_arguments

_HINTS = get_type_hints(TrainConfig)
_NAMES = {"model": known_models, "basis": lambda: [name.lower() for name in known_bases()]}
"""Fields that are names, and what gives those that are known."""


def options() -> list[inspect.Parameter]:
    """Return a keyword parameter for each field but `dataset`; None means that the option was not given."""
    docs = field_docs()
    return [
        _option(field, docs.get(field.name, "")) for field in dataclasses.fields(TrainConfig) if field.name != "dataset"
    ]


def given(values: Mapping[str, Any], start: TrainConfig | None = None) -> dict[str, Any]:
    """Return the options that were given as fields of `TrainConfig`.

    Args:
        values: the values of all options; None or empty for an option that was not given.
        start: the configuration that the options change; None for the defaults. It gives the model and the basis if the
            options do not name them.

    Raises:
        ValueError: a text is not a number or a list of numbers, or not an argument of the model or of the basis.
    """
    said = {name: value for name, value in values.items() if value not in (None, [])}
    found = {name: _parse(name, value) for name, value in said.items() if name not in PAIRS}
    if "model_args" in said:
        model = model_name(found.get("model", start.model if start else TrainConfig.model))
        option = flag("model_args")
        arguments = read_arguments(option, said["model_args"], model, what_it_takes(model).types)
        for name in [name for name in NETWORK if name in arguments]:
            if name in found:
                raise ValueError(f"{name} is given twice, with {flag(name)} and with {option}; leave one out")
            found[name] = arguments.pop(name)
        found["model_args"] = {**(dict(start.model_args) if start else {}), **arguments}
    if "basis_args" in said:
        option, basis = flag("basis_args"), found.get("basis", start.basis if start else None)
        if basis is None:
            raise ValueError(f"{option} is an argument of a basis; name one, such as {flag('basis')} bspline")
        found["basis_args"] = {
            **(dict(start.basis_args) if start and "basis" not in found else {}),
            **read_arguments(option, said["basis_args"], basis, basis_types(basis)),
        }
    return found


def flag(name: str) -> str:
    """Return the option of a field: `--batch-size` for `batch_size`, and `--model-arg` for `model_args`."""
    return f"--{(name[:-1] if name in PAIRS else name).replace('_', '-')}"


def numbers(kind: type[int] | type[float], name: str, text: str) -> tuple[Any, ...]:
    """Return the numbers of a text such as "784,256,10".

    Raises:
        ValueError: a part of the text is not a number.
    """
    return tuple(_number(kind, name, part) for part in text.split(","))


def _option(field: dataclasses.Field[Any], doc: str) -> inspect.Parameter:
    names = [flag(field.name)]
    kind, metavar = _kind(field.name)
    if kind is bool:
        names = [f"{names[0]}/--no-{names[0].removeprefix('--')}"]
    default = NETWORK.get(field.name, field.default)
    if field.name in _NAMES:
        doc = f"{doc} Known: {', '.join(_NAMES[field.name]())}."
    own = ", or the model's own" if field.name in NETWORK else ""
    help_ = doc if default in (None, ()) else f"{doc} [default: {_text(default)}{own}]"
    setting = typer.Option(*names, help=help_, metavar=metavar, show_default=False)
    return inspect.Parameter(
        field.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, setting]
    )


def _kind(name: str) -> tuple[type, str | None]:
    """The type that the command line parses, and what stands for the value in the help."""
    hint, words = _HINTS[name], choices(name)
    if name in PAIRS:
        return list[str], "NAME=VALUE"
    if name in _NAMES:
        return str, "NAME"
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
