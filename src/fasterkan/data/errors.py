"""The one exception of `fasterkan.data`."""

from __future__ import annotations


class DataError(ValueError):
    """A data set cannot be had as asked: a file is missing, damaged or not the one expected, or an argument is wrong.

    The message names the file or argument, what was found, what was expected and how to mend it.
    """
