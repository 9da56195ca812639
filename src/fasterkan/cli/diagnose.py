"""`fasterkan diagnose`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ..data import train_validation_test
from ..diagnosis import diagnose
from ..train import check_fit
from .saved import load

_SPLITS = ("train", "validation", "test")

HELP = """Say what ails a trained model, and which argument to change.

Sends images through it and shows, for each layer: inputs outside the grid, dead, collinear and saturated functions,
sizes of outputs and gradients.

\b
Examples:
  fasterkan diagnose runs/first
  fasterkan diagnose runs/first --split test --json
  fasterkan diagnose runs/first/model --data mnist
"""


def diagnose_command(
    run: Annotated[Path, typer.Argument(help="Folder of a run, or of a saved model (then name the data set).")],
    data: Annotated[str | None, typer.Option(help="Data set. [default: the run's]", show_default=False)] = None,
    split: Annotated[str, typer.Option(help="Images to send.", metavar="|".join(_SPLITS))] = "train",
    rows: Annotated[int, typer.Option(help="How many of them, evenly spread.", min=1)] = 2048,
    data_root: Annotated[
        str | None, typer.Option(help="Folder of the data set's files. [default: the run's]", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
) -> None:
    """Run `fasterkan diagnose`."""
    if split not in _SPLITS:
        raise ValueError(f"--split: unknown {split!r}; known: {', '.join(_SPLITS)}")
    saved = load(run)
    if saved.config is not None:
        data = data or saved.config.dataset
        data_root = data_root or saved.config.data_root
    if data is None:
        raise ValueError(f"{run} is a model without a run; name the data set: --data mnist")
    images = train_validation_test(data, data_root)[_SPLITS.index(split)]
    check_fit(saved.model, images)
    report = diagnose(saved.model, images, rows=rows)
    typer.echo(json.dumps(report.to_dict()) if as_json else str(report))
