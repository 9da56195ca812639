"""`fasterkan predict` with a network that was fitted to a table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import typer
from torch import nn

from .._files import write_atomically
from ..models import from_pretrained
from .answers import answers, errors, outputs_of, outside
from .fit_files import as_csv
from .fitted import Fitted, load_fitted
from .table import TextTable, read_text
from .text import percent

_SHOWN = 5
"""Rows that cannot be predicted, of which each has a line on stderr."""


def predict_table(run: Path, files: Sequence[str], out: Path | None, *, as_json: bool) -> None:
    """Print or write the rows of a CSV file with what the network says of each.

    Args:
        run: the folder of the fit.
        files: one file.
        out: where to, None for stdout.
        as_json: one JSON object a row, instead of CSV.

    Raises:
        ValueError: more than one file, or one that cannot be read.
        typer.Exit: with 1 where some rows could not be predicted, with 2 where none could.
    """
    if len(files) != 1:
        raise ValueError(f"{run} was fitted to a table; give one CSV file with its columns, got {len(files)} files")
    fitted, table = load_fitted(run), read_text(Path(files[0]))
    if lacking := [column.name for column in fitted.inputs if column.name not in table.names]:
        raise ValueError(
            f"{table.path} has no column {lacking[0]!r}, which the network needs; it takes "
            f"{', '.join(column.name for column in fitted.inputs)}"
        )
    found = fitted.encode(table, targets=False)
    net = from_pretrained(run)
    said = answers(fitted, outputs_of(net, found.x)) if found.rows else {}
    _notes(fitted, table, found.problems, outside(fitted, found))
    if found.rows:
        _write(_json(fitted, table, said, found.rows) if as_json else _csv(fitted, table, said, found.rows), out)
        _compare(fitted, table, net)
    if found.problems:
        raise typer.Exit(1 if found.rows else 2)


def _csv(fitted: Fitted, table: TextTable, said: dict[str, list[str]], rows: Sequence[int]) -> str:
    """The table with the predictions behind its columns, empty where there are none, in the table's own spelling.

    Predictions that it held already are replaced, but a column that the network takes is never one of them.
    """
    if table.decimal_comma:
        words = 0 if fitted.labels is None else 1
        said = {
            name: fields if n < words else [field.replace(".", ",") for field in fields]
            for n, (name, fields) in enumerate(said.items())
        }
    places = {row: place for place, row in enumerate(rows)}
    taken = {column.name for column in fitted.inputs}
    kept = [n for n, name in enumerate(table.names) if name not in said or name in taken]
    heads = [f"{name} (new)" if name in taken else name for name in said]
    lines = [[*(table.names[n] for n in kept), *heads]]
    for number, row in enumerate(table.rows):
        place = places.get(number)
        new = ("" if place is None else column[place] for column in said.values())
        lines.append([*(row[n] for n in kept), *new])
    return as_csv(lines, table.separator)


def _json(fitted: Fitted, table: TextTable, said: dict[str, list[str]], rows: Sequence[int]) -> str:
    """One object a row that was predicted, with its line in the file."""
    texts = 0 if fitted.labels is None else 1
    columns = [[field if n < texts else float(field) for field in fields] for n, fields in enumerate(said.values())]
    lines = [
        {"line": table.lines[row], **dict(zip(said, values, strict=True))}
        for row, *values in zip(rows, *columns, strict=True)
    ]
    return "".join(json.dumps(line) + "\n" for line in lines)


def _write(text: str, out: Path | None) -> None:
    if out is None:
        typer.echo(text, nl=False)
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically({out: text.encode()})
    typer.echo(f"written to {out}", err=True)


def _notes(fitted: Fitted, table: TextTable, problems: dict[int, str], far: dict[str, int]) -> None:
    for number in list(problems)[:_SHOWN]:
        typer.secho(f"error: {table.path}, line {table.lines[number]}, {problems[number]}", fg="red", err=True)
    if len(problems) > _SHOWN:
        typer.secho(f"error: and {len(problems) - _SHOWN} rows more", fg="red", err=True)
    if table.blank:
        typer.echo(f"note: {table.blank} rows without any value are left out", err=True)
    for column in fitted.inputs:
        if count := far.get(column.name):
            typer.echo(
                f"note: {column.name} lies outside {column.low:.6g} to {column.high:.6g}, the range of the fit, in "
                f"{count} rows; where nothing was fitted",
                err=True,
            )


def _compare(fitted: Fitted, table: TextTable, net: nn.Module) -> None:
    """Say how far off the predictions are, where the table has the targets too."""
    if not all(target.name in table.names for target in fitted.targets):
        return
    found = fitted.encode(table)
    if not found.rows:
        return
    for e in errors(fitted, outputs_of(net, found.x), found.y):
        what = f"RMSE {e.error:.4g}" if fitted.labels is None else f"right {percent(1 - e.error)}"
        typer.echo(f"{e.target}: {what} on {e.rows} rows", err=True)
