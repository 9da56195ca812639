"""Columns of a CSV table as a network takes them: numbers, categories, missing values."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from .table import TextTable

MOST_WORDS = 12
"""Different texts that a column of categories may have."""
MOST_LABELS = 50
"""Different labels that a target may have."""
_MISSING = {"", "na", "n/a", "nan", "-nan", "+nan", "null", "?"}
_MISSING_NUMBER = {*_MISSING, "none", "-", "."}


@dataclasses.dataclass(frozen=True)
class Column:
    """A column that a network was fitted with."""

    name: str
    words: tuple[str, ...] | None
    """Categories or labels, None for numbers."""
    low: float = 0.0
    high: float = 0.0
    """Range of the numbers."""
    target: bool = False
    """Whether it is predicted."""

    @property
    def parts(self) -> list[str]:
        """Names of the numbers that `encode` gives: one of a column of numbers; else one a word without the first.

        An input needs none for the first word: it is what the others are not. Of three labels or more each has one.
        """
        if self.words is None:
            return [self.name]
        return [f"{self.name}={word}" for word in self._shown()]

    def _shown(self) -> tuple[str, ...]:
        words = self.words or ()
        return words if self.target and len(words) > 2 else words[1:]

    def encode(self, table: TextTable, field: str) -> list[float] | str:
        """Return a field as numbers, 0 and 1 for categories; else what is wrong with it, "missing" where it is."""
        if self.words is not None:
            word = self._word(table, field)
            if word is not None:
                return [float(word == each) for each in self._shown()]
            missing = is_missing(field, among_numbers=all(_size(each) is not None for each in self.words))
            return "missing" if missing else f"{field!r} is none of {', '.join(self.words)}"
        value = table.number(field)
        if is_missing(field, among_numbers=True) or (value is not None and math.isnan(value)):
            return "missing"
        if value is None:
            return f"{field!r} is no number"
        return [value] if math.isfinite(value) else f"{field} is not finite"

    def _word(self, table: TextTable, field: str) -> str | None:
        """The category or label that a field holds; where all are numbers, 1 and 1.0 are the same."""
        words = self.words or ()
        if field in words or (value := table.number(field)) is None:
            return field if field in words else None
        sizes = [_size(word) for word in words]
        return words[sizes.index(value)] if None not in sizes and value in sizes else None

    def to_json(self) -> dict[str, Any]:
        """Return the column as `from_json` reads it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Column:
        """Return the column that `to_json` gave."""
        words = fields["words"]
        found = None if words is None else tuple(str(word) for word in words)
        low, high = float(fields["low"]), float(fields["high"])
        return cls(str(fields["name"]), found, low, high, target=bool(fields["target"]))


def is_missing(field: str, *, among_numbers: bool) -> bool:
    """Whether a field stands for no value: empty, NA, N/A, nan, null or ?; among numbers also none, - or a point."""
    return field.lower() in (_MISSING_NUMBER if among_numbers else _MISSING)


def _given(table: TextTable, name: str) -> tuple[list[str], list[float], bool]:
    """The fields of a column that are not missing, the numbers among them, and whether these are the most."""
    fields = table.column(name)
    given = [field for field in fields if not is_missing(field, among_numbers=True)]
    numbers = [found for field in given if (found := table.number(field)) is not None]
    if 2 * len(numbers) > len(given):
        return given, numbers, True
    return [field for field in fields if not is_missing(field, among_numbers=False)], numbers, False


def _size(word: str) -> float | None:
    """The number that a label is, with a decimal comma or point."""
    try:
        return None if "_" in word else float(word.replace(",", "."))
    except ValueError:
        return None


def survey(table: TextTable, name: str) -> Column | str:
    """Return what a column holds, or why it is of no use as an input.

    Raises:
        ValueError: there is no such column; or it has numbers for the most part, but a text or infinity somewhere: the
            message names the line.
    """
    fields = table.column(name)
    given, numbers, numeric = _given(table, name)
    if 2 * len(given) < len(fields):
        return f"{len(fields) - len(given)} of {len(fields)} values are missing"
    if len(set(given)) < 2:
        return "it has one value only"
    if numeric:
        _all_numbers(table, name, fields)
        return (
            Column(name, None, min(numbers), max(numbers)) if min(numbers) < max(numbers) else "it has one value only"
        )
    words = as_words(name, given)
    if len(words.words or ()) > MOST_WORDS:
        return f"it has {len(words.words or ())} different texts; up to {MOST_WORDS} are taken as categories"
    return words


def as_words(name: str, given: Sequence[str]) -> Column:
    """Return a column of words, numbers too, in their order; of two spellings of a number the shortest stays."""
    sizes = {word: size for word in set(given) if (size := _size(word)) is not None}
    if len(sizes) < len(set(given)):
        return Column(name, tuple(sorted(set(given))))
    spelled = {sizes[word]: word for word in sorted(sizes, key=lambda word: (len(word), word), reverse=True)}
    return Column(name, tuple(spelled[size] for size in sorted(spelled)))


def survey_target(table: TextTable, name: str, *, labels: bool) -> Column:
    """Return what a column to predict holds.

    Args:
        table: the file.
        name: of the column.
        labels: its numbers are labels too.

    Raises:
        ValueError: it cannot be predicted: the message says why and what to do.
    """
    given, numbers, numeric = _given(table, name)
    found = dataclasses.replace(as_words(name, given), target=True)
    count = len(found.words or ())
    if count < 2:
        value = f"one value only, {given[0]!r}" if given else "no value"
        raise ValueError(f"{table.path}: the target {name!r} has {value}; there is nothing to learn")
    if not labels and numeric:
        _all_numbers(table, name, table.column(name))
        return Column(name, None, min(numbers), max(numbers), target=True)
    if (most := min(MOST_LABELS, len(given) // 2)) < count:
        raise ValueError(
            f"{table.path}: the target {name!r} has {count} different labels in {len(given)} rows, at most "
            f"{most} can be told apart"
            + ("; for numbers leave out --loss logistic" if len(numbers) == len(given) else "")
        )
    return found


def _all_numbers(table: TextTable, name: str, fields: Sequence[str]) -> None:
    """Refuse a text or infinity in a column of numbers."""
    for line, field in zip(table.lines, fields, strict=True):
        problem = Column(name, None).encode(table, field)
        if isinstance(problem, str) and problem != "missing":
            raise ValueError(
                f"{table.path}, line {line}, column {name}: {problem}, the column's other values are numbers; mend it, "
                "or leave it empty if it is missing"
            )
