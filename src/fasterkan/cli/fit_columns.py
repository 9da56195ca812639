"""Which columns and rows of a table `fasterkan fit` takes, and what it leaves out."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from .answers import shortened
from .columns import Column, survey, survey_target
from .fit_rows import LEAST, check_targets, without_constants
from .fitted import Encoded, Fitted, counted
from .table import TextTable, read_text


@dataclasses.dataclass(frozen=True)
class ChosenTable:
    """What is fitted, and what the person should know about it."""

    fitted: Fitted
    """Its result is only the number of rows yet, and their checksum."""
    table: TextTable
    rows: Encoded
    test: Encoded
    notes: tuple[str, ...]


def choose(
    data: Path,
    targets: Sequence[str],
    inputs: Sequence[str] | None,
    loss: str | None,
    test: Path | None,
    test_share: float,
    seed: int,
) -> ChosenTable:
    """Return the columns and rows to fit.

    Args:
        data: the CSV file.
        targets: columns to predict; a word that is no column may be several with commas.
        inputs: columns to predict from, written in the same way; None for all others.
        loss: as it was asked for, None for the one that suits the target.
        test: a CSV file for the test.
        test_share: of the rows of data, without such a file.
        seed: of the rows that are drawn.

    Raises:
        ValueError: a file, a column or the rows cannot be used.
    """
    table = read_text(data)
    wanted = _names(table, targets)
    goals = tuple(survey_target(table, name, labels=loss == "logistic") for name in wanted)
    if words := [goal.name for goal in goals if goal.words is not None]:
        if len(goals) > 1:
            raise ValueError(f"{data}: {words[0]!r} holds labels; labels are predicted alone, fit one target at a time")
        if loss not in (None, "logistic"):
            raise ValueError(f"{data}: {words[0]!r} holds labels, --loss {loss} needs numbers; leave --loss out")
    named = None if inputs is None else _names(table, inputs)
    columns, notes = _inputs(table, wanted, named)
    kind = loss or ("squared" if goals[0].words is None else "logistic")
    whole = None if test is None else test.resolve()
    fitted = Fitted(data.resolve(), whole, test_share, seed, kind, columns, goals, {})
    fitted, found, more = without_constants(fitted, table, named)
    rows, held = fitted.split(found)
    notes += [*more, *_left_out(table, found)]
    if len(rows.rows) < LEAST:
        raise ValueError(
            f"{data}: {len(rows.rows)} rows to fit ({len(table.rows)} in the file, {len(found.problems)} left out, "
            f"{len(held.rows)} held back for the test); at least {LEAST} are needed"
        )
    check_targets(fitted, table, found, rows)
    if test is not None:
        test_table = read_text(test)
        held = fitted.encode(test_table)
        notes += _left_out(test_table, held)
        if not held.rows:
            raise ValueError(f"{test}: no row can be used for the test")
    return ChosenTable(dataclasses.replace(fitted, result=counted(rows, held)), table, rows, held, tuple(notes))


def _names(table: TextTable, words: Sequence[str]) -> list[str]:
    """The columns that were named; a column with a comma in its name is found before the comma is taken to part two."""
    found: list[str] = []
    for word in words:
        for name in [word] if word in table.names else [part.strip() for part in word.split(",")]:
            table.column(name)
            if name not in found:
                found.append(name)
    return found


def _inputs(
    table: TextTable, targets: Sequence[str], wanted: Sequence[str] | None
) -> tuple[tuple[Column, ...], list[str]]:
    """The columns to predict from, and notes about others; what was asked for by name must be of use."""
    if both := [name for name in wanted or () if name in targets]:
        raise ValueError(f"{both[0]!r} is a target; it cannot be an input too")
    columns, notes = [], []
    for place, name in enumerate(table.names, 1):
        if name in targets or (wanted is not None and name not in wanted):
            continue
        found = survey(table, name) if name else "it has no name"
        if isinstance(found, Column):
            columns.append(found)
            continue
        if wanted is not None:
            raise ValueError(f"{table.path}: column {name!r} cannot be an input: {found}; leave it out of --inputs")
        notes.append(f"column {name or place} is left out: {found}")
    if not columns:
        raise ValueError(f"{table.path} has no column to predict from" + "".join(f"; {note}" for note in notes))
    return tuple(columns), notes


def _left_out(table: TextTable, found: Encoded) -> list[str]:
    """A note about rows that cannot be used."""
    if not found.problems:
        return []
    missing = shortened([f"{name} {count}" for name, count in found.missing.most_common()])
    other = next((row for row, why in found.problems.items() if not why.endswith("missing")), None)
    first = "" if other is None else f"; line {table.lines[other]}, {found.problems[other]}"
    words = f"; taken as missing: {', '.join(found.missing_words)}" if found.missing_words else ""
    values = f" (missing values: {missing}{words})" if missing else ""
    return [f"{len(found.problems)} of {len(table.rows)} rows of {table.path} are left out{values}{first}"]
