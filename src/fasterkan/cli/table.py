"""Tables of numbers from CSV files."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor


def read_table(path: Path, targets: Sequence[str]) -> tuple[Tensor, Tensor, list[str]]:
    """Return inputs [N, I] and targets [N, O] of a CSV file with a line of names, float64, and the inputs' names.

    Args:
        path: the file; fields are separated by commas.
        targets: names of the columns to predict; all others are inputs.

    Raises:
        ValueError: the file is missing or empty, a column is missing, or a field is no finite number; the message
            names the line and the column.
    """
    if not path.is_file():
        raise ValueError(f"{path}: no such file; give a CSV file with a line of names")
    with path.open(newline="", encoding="utf-8-sig") as file:
        lines = [(number, line) for number, line in enumerate(csv.reader(file), 1) if line]
    if len(lines) < 2:
        raise ValueError(f"{path} has {len(lines)} lines, expected a line of names and rows of numbers")
    names = [name.strip() for name in lines[0][1]]
    if len(set(names)) < len(names):
        raise ValueError(f"{path}: two columns have the same name: {', '.join(names)}")
    if missing := [name for name in targets if name not in names]:
        raise ValueError(f"{path} has no column {missing[0]!r}; it has {', '.join(names)}")
    rows = torch.tensor([_numbers(path, number, names, line) for number, line in lines[1:]], dtype=torch.float64)
    wanted = [names.index(name) for name in targets]
    inputs = [column for column in range(len(names)) if column not in wanted]
    return rows[:, inputs], rows[:, wanted], [names[column] for column in inputs]


def _numbers(path: Path, number: int, names: Sequence[str], line: Sequence[str]) -> list[float]:
    if len(line) != len(names):
        raise ValueError(f"{path}, line {number}: {len(line)} fields, expected {len(names)}")
    found = []
    for name, field in zip(names, line, strict=True):
        try:
            value = float(field)
        except ValueError as error:
            raise ValueError(f"{path}, line {number}, column {name}: {field!r} is no number") from error
        if not math.isfinite(value):
            raise ValueError(f"{path}, line {number}, column {name}: {field} is not finite; remove the row")
        found.append(value)
    return found
