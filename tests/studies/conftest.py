"""The scripts of benchmarks and studies as modules."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def script() -> Iterator[Callable[[str], ModuleType]]:
    """Import a script by its name, as the scripts beside it do."""
    with pytest.MonkeyPatch.context() as patch:
        for folder in ("benchmarks", "studies"):
            patch.syspath_prepend(ROOT / folder)
        yield importlib.import_module
