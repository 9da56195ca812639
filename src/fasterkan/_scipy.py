"""scipy, which is not installed with the library."""

from __future__ import annotations

import importlib
from types import ModuleType


def scipy_special(caller: str) -> ModuleType:
    """Return scipy.special.

    Raises:
        ImportError: scipy is not installed; the message has the command that installs it.
    """
    try:
        return importlib.import_module("scipy.special")
    except ImportError as error:
        raise ImportError(f'{caller} needs scipy: pip install "fasterkan[symbolic]"') from error
