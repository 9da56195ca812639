"""`fasterkan eval`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ..data import ImageDataset
from ..train import Evaluation, evaluate
from .saved import DATA_ROOT, DATA_SET, SPLITS, load_with_images
from .text import percent

HELP = """Evaluate a trained model.

The command shows the confusion matrix, the accuracy and the loss. It uses the test images, unless --split names
others.

\b
Examples:
  fasterkan eval runs/first
  fasterkan eval runs/first --split validation --json
  fasterkan eval runs/first/model --dataset mnist
"""


def evaluate_command(
    run: Annotated[Path, typer.Argument(help="Folder of a run, or of a saved model. A saved model needs --dataset.")],
    dataset: Annotated[
        str | None, typer.Option(help=f"{DATA_SET} [default: that of the run]", show_default=False)
    ] = None,
    split: Annotated[str, typer.Option(help="Images to evaluate.", metavar="|".join(SPLITS))] = "test",
    data_root: Annotated[
        str | None, typer.Option(help=f"{DATA_ROOT} [default: that of the run]", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
) -> None:
    """Run `fasterkan eval`."""
    saved, data = load_with_images(run, split, "--dataset", dataset, data_root)
    outcome = evaluate(saved.model, data)
    if as_json:
        typer.echo(json.dumps({"dataset": data.name, "split": split, **outcome.to_dict()}))
        return
    typer.echo(_table(outcome, data))
    about = f"loss {outcome.loss:.4f}, {outcome.rows:,} images of {data.name}"
    typer.echo(f"{split} accuracy {percent(outcome.accuracy)} ({about})")


def _table(outcome: Evaluation, data: ImageDataset) -> str:
    """The confusion matrix with one row per label, and the accuracy of each label."""
    corner = "label \\ prediction"
    left, cell = len(corner), max(6, *(len(name) + 2 for name in data.classes))
    lines = [corner + "".join(name.rjust(cell) for name in data.classes)]
    for name, row in zip(data.classes, outcome.confusion, strict=True):
        right = row[data.classes.index(name)] / max(1, sum(row))
        lines.append(name.ljust(left) + "".join(f"{count:{cell}d}" for count in row) + f"  {percent(right)}")
    return "\n".join(lines)
