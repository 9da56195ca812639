"""`fasterkan diagnose`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ..diagnosis import diagnose
from .saved import DATA_ROOT, DATA_SET, SPLITS, load_with_images

HELP = """Find what is wrong with a trained model.

The command sends images through the model. For each layer it shows four things: how many inputs lie outside the grid,
how many functions are dead (no input reaches them) or saturated, how many functions are independent, and how large the
outputs and the gradients are. It also says which argument to change.

\b
Examples:
  fasterkan diagnose runs/first
  fasterkan diagnose runs/first --split test --json
  fasterkan diagnose runs/first/model --data mnist
"""


def diagnose_command(
    run: Annotated[Path, typer.Argument(help="Folder of a run, or of a saved model. A saved model needs --data.")],
    data: Annotated[str | None, typer.Option(help=f"{DATA_SET} [default: that of the run]", show_default=False)] = None,
    split: Annotated[str, typer.Option(help="Images to use.", metavar="|".join(SPLITS))] = "train",
    rows: Annotated[
        int, typer.Option(help="Number of images to use. They are spread evenly over the split.", min=1)
    ] = 2048,
    data_root: Annotated[
        str | None, typer.Option(help=f"{DATA_ROOT} [default: that of the run]", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
) -> None:
    """Run `fasterkan diagnose`."""
    saved, images = load_with_images(run, split, "--data", data, data_root)
    report = diagnose(saved.model, images, rows=rows)
    typer.echo(json.dumps(report.to_dict()) if as_json else str(report))
