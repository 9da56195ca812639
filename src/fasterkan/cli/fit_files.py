"""What `fasterkan fit` leaves: the model, a report, predictions, pictures."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import typer

from .._files import write_atomically
from ..interpret import plot
from ..models import KAN
from ..models.pretrained import CONFIG, WEIGHTS
from .answers import Error, answers, errors, labels_of, log_loss, number, outputs_of
from .fit_columns import ChosenTable
from .fit_network import FittedNetwork
from .fit_report import report_text
from .fitted import FIT, PARTS, Encoded, Fitted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DRAWING = (ArithmeticError, LookupError, MemoryError, OSError, RuntimeError, TypeError, ValueError)
"""What matplotlib raises over a name, a size or a file that it cannot draw."""


def write_run(folder: Path, chosen: ChosenTable, fitted: Fitted, made: FittedNetwork) -> str:
    """Write all files of a fit and return its report.

    Args:
        folder: of the run; what an older fit left in it goes.
        chosen: the rows.
        fitted: the columns, with the result.
        made: the network.
    """
    said = said_of(fitted, made.net, chosen.rows, chosen.test)
    losses = {} if fitted.labels is None else {each.word: log_loss(each.outputs, each.rows.y) for each in said}
    report = report_text(chosen, fitted, made, {each.word: each.errors for each in said}, losses)
    write_files(folder, made.net, run_files(fitted, said) | {"report.txt": report + "\n"})
    draw(folder, network_picture(fitted, made.net, chosen.rows) | {"training.svg": lambda: plot.training(made.outcome)})
    return report


@dataclasses.dataclass(frozen=True)
class PartAnswers:
    """What a network says of the rows that were fitted, or of those of the test."""

    word: str
    """ "fitted" or "test"."""
    rows: Encoded
    outputs: torch.Tensor
    errors: list[Error]


def said_of(fitted: Fitted, net: KAN, kept: Encoded, test: Encoded) -> list[PartAnswers]:
    """Return what a network says of the rows that were fitted and of those of the test, if there are any."""
    found = []
    for word, rows in (("fitted", kept), ("test", test)):
        if rows.rows:
            outputs = outputs_of(net, rows.x)
            found.append(PartAnswers(word, rows, outputs, errors(fitted, outputs, rows.y)))
    return found


def run_files(fitted: Fitted, said: Sequence[PartAnswers]) -> dict[str, str]:
    """Return the text of `fit.json`, with the errors in its result, and of `predictions.csv`."""
    off = {each.word: {error.target: error.error for error in each.errors} for each in said}
    result = fitted.result | {"errors": off}
    if fitted.loss == "huber":
        medians = {each.word: {error.target: error.median for error in each.errors} for each in said}
        result["median_absolute_errors"] = medians
    lines = [line for each in reversed(said) for line in _lines(fitted, each)]
    return {
        FIT: dataclasses.replace(fitted, result=result).to_json(),
        "predictions.csv": as_csv([["line", "rows", *_head(fitted)], *lines]),
    }


def write_files(folder: Path, net: KAN, files: Mapping[str, str]) -> None:
    """Write a network and the texts beside it; of what an older fit or prune left in the folder nothing stays."""
    net.save_pretrained(folder)
    write_atomically({folder / name: text.encode() for name, text in files.items()})
    for name in PARTS - {CONFIG, WEIGHTS, *files}:
        (folder / name).unlink(missing_ok=True)


def network_picture(fitted: Fitted, net: KAN, rows: Encoded) -> dict[str, Callable[[], Figure]]:
    """Return what draws the network of a fit."""

    def picture() -> Figure:
        return plot.network(net, rows.x, inputs=fitted.input_names, outputs=fitted.output_names)

    return {"network.png network.svg": picture}


def draw(folder: Path, pictures: Mapping[str, Callable[[], Figure]]) -> None:
    """Write pictures under their names; one that cannot be drawn is a note, since the rest of the run is whole.

    Args:
        folder: of the run.
        pictures: what draws each, by the names of its files with blanks between them.
    """
    for names, picture in pictures.items():
        paths = [folder / name for name in names.split()]
        try:
            figure = picture()
            for path in paths:
                figure.savefig(path, dpi=150)
        except ImportError as error:
            typer.echo(f"note: no pictures: {error}", err=True)
            return
        except _DRAWING as error:
            for path in paths:
                path.unlink(missing_ok=True)
            why = " ".join(str(error).split())[:200]
            typer.echo(f"note: no {' and '.join(names.split())} ({why}); all other files are written", err=True)


def as_csv(lines: list[list[str]], separator: str = ",") -> str:
    """Return lines of fields as the text of a CSV file."""
    text = io.StringIO()
    csv.writer(text, delimiter=separator, lineterminator="\n").writerows(lines)
    return text.getvalue()


def _head(fitted: Fitted) -> list[str]:
    targets = [target.name for target in fitted.targets]
    if fitted.labels is not None:
        return [*targets, f"{targets[0]} predicted", "right", *(f"P({label})" for label in fitted.labels)]
    return [name for target in targets for name in (target, f"{target} predicted", f"{target} residual")]


def _lines(fitted: Fitted, said: PartAnswers) -> list[list[str]]:
    """Of each row its line in the file, what it was used for, what was to be predicted, and what was."""
    found = list(answers(fitted, said.outputs).values())
    y = said.rows.y
    if fitted.labels is not None:
        told = [fitted.labels[i] for i in labels_of(y).tolist()]
        right = ["yes" if a == b else "no" for a, b in zip(told, found[0], strict=True)]
        columns = [told, found[0], right, *found[1:]]
    else:
        columns = []
        for i, values in enumerate(found):
            residual = (y[:, i] - said.outputs[:, i]).tolist()
            columns += [[number(v) for v in y[:, i].tolist()], values, [number(r) for r in residual]]
    return [[str(line), said.word, *fields] for line, *fields in zip(said.rows.lines, *columns, strict=True)]
