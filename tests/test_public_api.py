"""`import fasterkan as fk`: what it offers is listed, found, documented and versioned."""

from __future__ import annotations

import inspect
import re
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest

import fasterkan as fk

ROOT = Path(__file__).parent.parent
PUBLIC = {name: getattr(fk, name, None) for name in fk.__all__}
CALLABLE = {name: thing for name, thing in PUBLIC.items() if callable(thing)}
NAMED = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def arguments(thing: object) -> list[inspect.Parameter]:
    """The parameters that a caller can name; an exception takes a message and needs no list."""
    if isinstance(thing, type) and issubclass(thing, BaseException):
        return []
    return [p for p in inspect.signature(thing).parameters.values() if p.kind in NAMED]


def documentation(thing: object) -> str:
    """The docstring, with the constructor's where a class has one of its own."""
    constructor = vars(thing).get("__init__") if isinstance(thing, type) else None
    return f"{inspect.getdoc(thing) or ''}\n{getattr(constructor, '__doc__', None) or ''}"


def test_all_is_sorted_and_without_repeats():
    assert list(fk.__all__) == sorted(set(fk.__all__))


def test_all_lists_every_public_name():
    hidden = {"annotations"}  # left by `from __future__ import annotations`
    found = {name for name, thing in vars(fk).items() if not name.startswith("_") and not isinstance(thing, ModuleType)}
    assert found - hidden - set(fk.__all__) == set()


@pytest.mark.parametrize("name", fk.__all__)
def test_name_resolves_and_is_documented(name):
    assert hasattr(fk, name)
    if callable(PUBLIC[name]) or isinstance(PUBLIC[name], ModuleType):
        first = (inspect.getdoc(PUBLIC[name]) or "").partition("\n")[0]
        assert first.endswith((".", ":")), f"fasterkan.{name}: the docstring's first line is {first!r}"


@pytest.mark.parametrize("name", CALLABLE)
def test_callable_is_ours(name):
    assert CALLABLE[name].__module__.partition(".")[0] == "fasterkan"


@pytest.mark.parametrize("name", CALLABLE)
def test_every_argument_is_documented(name):
    text = documentation(CALLABLE[name])
    missing = [p.name for p in arguments(CALLABLE[name]) if not re.search(rf"\b{re.escape(p.name)}\b", text)]
    assert missing == []


@pytest.mark.parametrize("name", CALLABLE)
def test_every_argument_is_annotated(name):
    assert [p.name for p in arguments(CALLABLE[name]) if p.annotation is p.empty] == []


@pytest.mark.parametrize("name", [name for name, thing in CALLABLE.items() if isinstance(thing, type)])
def test_every_method_is_documented(name):
    own = {n for base in CALLABLE[name].__mro__ if base.__module__.startswith("fasterkan") for n in vars(base)}
    methods = {n: getattr(CALLABLE[name], n) for n in sorted(own) if not n.startswith("_")}
    assert [n for n, method in methods.items() if inspect.isroutine(method) and not inspect.getdoc(method)] == []


def test_version_is_that_of_the_installed_package():
    assert metadata.version("fasterkan") == fk.__version__


def test_version_is_that_of_the_citation_and_the_changelog():
    assert re.findall(r"(?m)^version: (.+)$", (ROOT / "CITATION.cff").read_text()) == [fk.__version__]
    newest = re.search(r"(?m)^## (\S+)", (ROOT / "CHANGELOG.md").read_text())
    assert newest is not None
    assert newest[1] == fk.__version__
