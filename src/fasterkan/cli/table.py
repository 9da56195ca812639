"""Tables of numbers from CSV files."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

_SEPARATORS = ",;\t"
_SNIFFED = 20
"""Lines at the start of a file that tell its separator."""
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")


@dataclasses.dataclass(frozen=True)
class TextTable:
    """A CSV file as it stands: names of the columns, and rows of fields without white space around them."""

    path: Path
    names: tuple[str, ...]
    """"" where the first line names none."""
    lines: tuple[int, ...]
    """Where each row ends in the file, counted from 1."""
    rows: tuple[tuple[str, ...], ...]
    separator: str
    """Between two fields: a comma, a semicolon or a tab."""
    blank: int = 0
    """How many rows without any value were skipped, empty lines aside."""

    @property
    def decimal_comma(self) -> bool:
        """Whether its numbers are written with a decimal comma."""
        return self.separator != "," and any(_DECIMAL_COMMA.fullmatch(field) for row in self.rows for field in row)

    def column(self, name: str) -> list[str]:
        """Return the fields of a column.

        Raises:
            ValueError: there is none of this name.
        """
        if name not in self.names:
            raise ValueError(f"{self.path} has no column {name!r}; it has {', '.join(filter(None, self.names))}")
        place = self.names.index(name)
        return [row[place] for row in self.rows]

    def number(self, field: str) -> float | None:
        """Return the number that a field holds, None if it holds none; with semicolons or tabs "1,5" is one and a half.

        Infinity and "nan" are numbers here.
        """
        if self.separator != "," and _DECIMAL_COMMA.fullmatch(field):
            field = field.replace(",", ".")
        try:
            return None if "_" in field else float(field)
        except ValueError:
            return None


def read_text(path: Path) -> TextTable:
    """Return the table of a CSV file with a line of names.

    Raises:
        ValueError: the file is missing, empty or no text, has no line of names or no rows, two columns of one name, or
            a line with more or fewer fields than names.
    """
    if not path.is_file():
        raise ValueError(f"{path}: no such file; give a CSV file with a line of names")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text (byte {error.start}); save it again as CSV UTF-8") from error
    separator = _separator(text)
    found: list[tuple[int, tuple[str, ...]]] = []
    blank = 0
    try:
        for number, row in _fields(text, separator):
            if any(row):
                found.append((number, row))
            else:
                blank += bool(found) and len(row) == len(found[0][1])
    except csv.Error as error:
        raise ValueError(f"{path}, {error}; it is no CSV file that can be read") from error
    if len(found) < 2:
        raise ValueError(f"{path} has {len(found)} lines, expected a line of names and rows of numbers")
    (_, names), *rows = found
    table = TextTable(path, names, tuple(n for n, _ in rows), tuple(row for _, row in rows), separator, blank)
    given = [name for name in names if name]
    if len(set(given)) < len(given):
        twice = next(name for name in given if given.count(name) > 1)
        raise ValueError(f"{path}: two columns have the same name, {twice!r}: {', '.join(given)}; rename one")
    counted = [str(i) for i in range(len(given))]
    if given != counted and all(table.number(name) is not None for name in given):
        raise ValueError(f"{path}: the first line, {', '.join(names)}, has numbers; put a line of names above it")
    for number, row in rows:
        if len(row) != len(names):
            raise ValueError(f"{path}, line {number}: {len(row)} fields, expected {len(names)} as in the line of names")
    return table


def _fields(text: str, separator: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Each row's fields, without white space around them, and the line on which it ends."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    try:
        for row in reader:
            yield reader.line_num, tuple(field.strip() for field in row)
    except csv.Error as error:
        raise csv.Error(f"line {reader.line_num}: {error}") from error


def _separator(text: str) -> str:
    """The separator that cuts the first lines into equally many fields; of several, or none, the one for most names."""
    counts: dict[str, list[int]] = {}
    for separator in _SEPARATORS:
        try:
            rows = (row for _, row in _fields(text, separator) if any(row))
            counts[separator] = [len(row) for row in islice(rows, _SNIFFED)] or [0]
        except csv.Error:
            counts[separator] = [0]
    return max(_SEPARATORS, key=lambda each: (len(set(counts[each])) == 1 < counts[each][0], counts[each][0]))


def read_table(path: Path, targets: Sequence[str]) -> tuple[Tensor, Tensor, list[str]]:
    """Return inputs [N, I] and targets [N, O] of a CSV file with a line of names, float64, and the inputs' names.

    Args:
        path: the file; fields are separated by commas, semicolons or tabs.
        targets: names of the columns to predict; all others that have a name are inputs.

    Raises:
        ValueError: as `read_text`; or a column is missing, or a field is no finite number: the message names the line
            and the column.
    """
    table = read_text(path)
    wanted = [table.column(name) for name in targets]
    names = [name for name in table.names if name and name not in targets]
    inputs = [table.column(name) for name in names]
    x, y = (
        [_numbers(table, name, column) for name, column in zip(which, columns, strict=True)]
        for which, columns in ((names, inputs), (targets, wanted))
    )
    read, read_targets = (torch.tensor(values, dtype=torch.float64, device="cpu").T for values in (x, y))
    return read, read_targets, names


def _numbers(table: TextTable, name: str, column: Sequence[str]) -> list[float]:
    found = []
    for line, field in zip(table.lines, column, strict=True):
        value = table.number(field)
        if value is None:
            raise ValueError(f"{table.path}, line {line}, column {name}: {field!r} is no number")
        if not math.isfinite(value):
            raise ValueError(f"{table.path}, line {line}, column {name}: {field} is not finite; remove the row")
        found.append(value)
    return found
