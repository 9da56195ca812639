"""What `fasterkan fit` leaves: the model, a report, predictions, pictures."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import typer

from .._files import write_atomically
from ..interpret import plot
from .answers import Error, answers, errors, labels_of, log_loss, number, outputs_of
from .fit_columns import Chosen
from .fit_network import Made
from .fit_report import report_text
from .fitted import FIT, PARTS, Encoded, Fitted
from .table import TextTable

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write_run(folder: Path, chosen: Chosen, fitted: Fitted, made: Made) -> str:
    """Write all files of a fit and return its report.

    Args:
        folder: of the run; what an older fit left in it goes.
        chosen: the rows.
        fitted: the columns, with the result.
        made: the network.
    """
    found = [
        (word, rows, outputs_of(made.net, rows.x))
        for word, rows in (("fitted", chosen.rows), ("test", chosen.test))
        if rows.rows
    ]
    off: dict[str, list[Error]] = {word: errors(fitted, outputs, rows.y) for word, rows, outputs in found}
    losses = {} if fitted.labels is None else {word: log_loss(outputs, rows.y) for word, rows, outputs in found}
    fitted.result["errors"] = {word: {each.target: each.error for each in errors} for word, errors in off.items()}
    report = report_text(chosen, fitted, made, off, losses)
    lines: list[list[str]] = []
    for word, rows, outputs in reversed(found):
        lines += _lines(fitted, word, chosen.table if word == "fitted" else chosen.test_table, rows, outputs)
    head = ["line", "rows", *_head(fitted)]
    if folder.is_dir():
        for name in PARTS:
            (folder / name).unlink(missing_ok=True)
    made.net.save_pretrained(folder)
    files = {FIT: fitted.to_json(), "report.txt": report + "\n", "predictions.csv": as_csv([head, *lines])}
    write_atomically({folder / name: text.encode() for name, text in files.items()})
    _write_pictures(folder, chosen, fitted, made)
    return report


def as_csv(lines: list[list[str]]) -> str:
    """Return lines of fields as the text of a CSV file."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()


def _head(fitted: Fitted) -> list[str]:
    targets = [target.name for target in fitted.targets]
    if fitted.labels is not None:
        return [*targets, f"{targets[0]} predicted", "right", *(f"P({label})" for label in fitted.labels)]
    return [name for target in targets for name in (target, f"{target} predicted", f"{target} residual")]


def _lines(fitted: Fitted, word: str, table: TextTable, rows: Encoded, outputs: torch.Tensor) -> list[list[str]]:
    """Of each row its line in the file, what it was used for, what was to be predicted, and what was."""
    said = list(answers(fitted, outputs).values())
    if fitted.labels is not None:
        told = [fitted.labels[i] for i in labels_of(rows.y).tolist()]
        right = ["yes" if a == b else "no" for a, b in zip(told, said[0], strict=True)]
        columns = [told, said[0], right, *said[1:]]
    else:
        columns = []
        for i, values in enumerate(said):
            residual = (rows.y[:, i] - outputs[:, i]).tolist()
            columns += [[number(v) for v in rows.y[:, i].tolist()], values, [number(r) for r in residual]]
    places = [str(table.lines[row]) for row in rows.rows]
    return [[place, word, *fields] for place, *fields in zip(places, *columns, strict=True)]


def _write_pictures(folder: Path, chosen: Chosen, fitted: Fitted, made: Made) -> None:
    try:
        picture = plot.network(made.net, chosen.rows.x, inputs=fitted.input_names, outputs=fitted.output_names)
        _write(picture, folder, "network", "png", "svg")
        _write(plot.training(made.outcome), folder, "training", "svg")
    except ImportError as error:
        if "pip install" not in str(error):
            raise
        typer.echo(f"note: no pictures: {error}", err=True)


def _write(figure: Figure, folder: Path, name: str, *kinds: str) -> None:
    for kind in kinds:
        figure.savefig(folder / f"{name}.{kind}", dpi=150)
