"""The exception of `fasterkan.data`."""

from __future__ import annotations


class DataError(ValueError):
    """A data set cannot be loaded: a file is missing, damaged or not the expected one, or an argument is wrong.

    The message names the file or the argument, what was found, what was expected, and how to fix it.
    """
