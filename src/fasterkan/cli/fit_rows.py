"""Whether the rows that are left to fit say enough about each column."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate

from .answers import labels_of, number
from .fitted import Encoded, Fitted
from .table import TextTable

LEAST = 10
"""Rows that there must be to fit."""


def without_constants(
    fitted: Fitted, table: TextTable, named: Sequence[str] | None
) -> tuple[Fitted, Encoded, list[str]]:
    """The fit, its rows and notes, without inputs that have one value only once rows with missing values are gone.

    Args:
        fitted: the columns.
        table: the file.
        named: inputs that were asked for by name; these must be of use.

    Raises:
        ValueError: one of these has one value only, or no input is left.
    """
    notes: list[str] = []
    while True:
        found = fitted.encode(table)
        ends = list(accumulate(len(column.parts) for column in fitted.inputs))
        varies = (found.x != found.x[:1]).any(0).tolist()
        parts = zip(fitted.inputs, [0, *ends], ends, strict=False)
        constant = [column for column, start, end in parts if not any(varies[start:end])]
        if not constant or len(found.rows) < LEAST:
            return fitted, found, notes
        why = "it has one value only in the rows without missing values"
        if named is not None:
            name = constant[0].name
            raise ValueError(f"{table.path}: column {name!r} cannot be an input: {why}; leave it out of --inputs")
        notes += [f"column {column.name} is left out: {why}" for column in constant]
        left = tuple(column for column in fitted.inputs if column not in constant)
        if not left:
            raise ValueError(f"{table.path} has no column to predict from" + "".join(f"; {note}" for note in notes))
        fitted = dataclasses.replace(fitted, inputs=left)


def check_targets(fitted: Fitted, table: TextTable, found: Encoded, rows: Encoded) -> None:
    """Refuse a target with one value in the rows to fit, and a label that none of them has.

    Args:
        fitted: the columns.
        table: the file.
        found: all its rows that can be used.
        rows: those of them that are fitted.

    Raises:
        ValueError: the message names the target or the label, and the column whose missing values took its rows.
    """
    for place, target in enumerate(fitted.targets):
        if target.words is None and len(rows.y[:, place].unique()) < 2:
            value = f"one value only, {number(float(rows.y[0, place]))}"
            raise ValueError(f"{table.path}: the target {target.name!r} has {value}, in the rows to fit{_why(found)}")
    if fitted.labels is None:
        return
    kept = set(labels_of(rows.y).tolist())
    for place, label in enumerate(fitted.labels):
        if place in kept:
            continue
        goal = fitted.targets[0]
        fields = table.column(goal.name)
        lost = [n for n in found.problems if goal.encode(table, fields[n]) == goal.encode(table, label)]
        held = "; all its rows are held back for the test: another --seed, or a smaller --test-share"
        raise ValueError(
            f"{table.path}: no row to fit has the label {label!r} of {goal.name!r}"
            + (_why(found, lost) if lost else held)
            + ", or remove the label's rows"
        )


def _why(found: Encoded, lost: Sequence[int] | None = None) -> str:
    """Which column removes the rows."""
    problems = found.problems if lost is None else {n: found.problems[n] for n in lost}
    if not problems:
        return ""
    (column, count), *_ = Counter(why.rpartition(": ")[0] for why in problems.values()).most_common()
    return f": {count} rows are left out for missing values in {column!r}; leave this column out with --inputs"
