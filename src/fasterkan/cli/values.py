"""Reading arguments such as "degree=3" from the command line, with the types that the arguments have."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Union, get_args, get_origin

from ..train.names import check_argument

_TRUTH = {"true": True, "false": False}
_NUMBERS = (("a whole number", int), ("a number", float))


def read_arguments(option: str, words: Sequence[str], owner: str, known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of words such as "degree=3", by name.

    Args:
        option: the option with these words, for messages.
        words: one word for each argument.
        owner: the model or the basis that has the arguments, for messages.
        known: the types of the arguments, by name.

    Raises:
        ValueError: a word is not "name=value", a name is unknown or occurs twice, or a value has the wrong type.
    """
    found: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name:
            raise ValueError(f"{option}: {word!r} must be name=value; {owner} has {', '.join(known)}")
        check_argument(f"{option}: {owner}", name, known)
        if name in found:
            raise ValueError(f"{option}: {name} is given twice")
        try:
            found[name] = read(text, known[name])
        except ValueError as error:
            raise ValueError(f"{option} {name}: {error}; {owner} has {', '.join(known)}") from error
    return found


def read(text: str, hint: Any) -> Any:
    """Return a text as a value of a type: none, true or false, a number, a word, or several of these with commas.

    Args:
        text: for example "3", "-1,1" or "silu".
        hint: the annotated type. Its parts that no text can express are ignored.

    Raises:
        ValueError: the type does not allow the text.
    """
    kinds = _kinds(hint)
    words = [word for kind in kinds if get_origin(kind) is Literal for word in get_args(kind)]
    if text.lower() == "none" and (type(None) in kinds or None in words):
        return None
    if bool in kinds and text.lower() in _TRUTH:
        return _TRUTH[text.lower()]
    for _, number in _NUMBERS:
        if number in kinds:
            try:
                return number(text)
            except ValueError:
                continue
    if text in words or (str in kinds and "," not in text):
        return text
    inner = next((get_args(kind)[0] for kind in kinds if _is_sequence(kind)), None)
    if inner is not None and ("," in text or not words):
        return tuple(read(part, inner) for part in text.split(","))
    raise ValueError(f"{text!r} is not {_expected(kinds, words)}")


def _kinds(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _is_sequence(kind: Any) -> bool:
    origin = get_origin(kind)
    return isinstance(origin, type) and issubclass(origin, Sequence)


def _expected(kinds: Sequence[Any], words: Sequence[Any]) -> str:
    """The allowed values in words."""
    said = [description for description, number in _NUMBERS if number in kinds]
    said += ["true or false"] if bool in kinds else []
    said += [repr(word) for word in words if word is not None]
    said += ["a word"] if str in kinds else []
    said += ["none"] if type(None) in kinds or None in words else []
    said += ["such values with commas"] if any(map(_is_sequence, kinds)) else []
    return " or ".join(said)
