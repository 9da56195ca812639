"""`fasterkan diagnose`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ..diagnosis import diagnose
from .saved import SPLITS, load_with_images

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
    split: Annotated[str, typer.Option(help="Images to send.", metavar="|".join(SPLITS))] = "train",
    rows: Annotated[int, typer.Option(help="How many of them, evenly spread.", min=1)] = 2048,
    data_root: Annotated[
        str | None, typer.Option(help="Folder of the data set's files. [default: the run's]", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
) -> None:
    """Run `fasterkan diagnose`."""
    saved, images = load_with_images(run, split, "--data", data, data_root)
    report = diagnose(saved.model, images, rows=rows)
    typer.echo(json.dumps(report.to_dict()) if as_json else str(report))
