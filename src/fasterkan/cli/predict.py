"""`fasterkan predict`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.bar import Bar
from rich.console import Console
from rich.table import Table
from torch import Tensor

from .._device import exact_on_cpu
from ..models import Pretrained, from_pretrained
from ..train import RunFolder, RunFolderError
from ..train.networks import image_shape
from .fitted import is_fitted
from .pictures import Picture, Reader, reader_of
from .predict_table import predict_table
from .text import percent

_BAR = 30
"""Width of the bar for probability 1, in characters."""

HELP = """Predict digits in images, the classes of other images, or new rows of a table.

If RUN is a model of digits, FILES are photographs or drawings: image files, folders or globs. If RUN was trained on a
folder of images, FILES are images of the same kind, read as in training. Both need Pillow:

\b
  pip install "fasterkan[vision]"

If RUN is a run of `fasterkan fit`, FILES is one CSV file with the same input columns. The output is this table, with
the predictions in new columns on the right.

\b
Examples:
  fasterkan predict runs/first seven.jpg
  fasterkan predict runs/first scans "more/**/*.png" --json
  fasterkan predict runs/wine new.csv --out predicted.csv

The reasons why an image or a row has no prediction are on stderr.
"""
EPILOG = (
    "Exit codes: 0 done; 1 some images or rows have no prediction; 2 no image or row has one, or bad usage or input; "
    "130 interrupted (Ctrl-C)."
)


def predict_command(
    run: Annotated[Path, typer.Argument(help="Folder of a run, or of a saved model.")],
    files: Annotated[list[str], typer.Argument(help="Image files, folders of images, or globs; or a CSV file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON for each image or row.")] = False,
    top: Annotated[
        int, typer.Option(min=1, help="Number of classes to show with their probability (images only).")
    ] = 3,
    out: Annotated[
        Path | None, typer.Option(help="File for the predictions of a table. [default: stdout]", show_default=False)
    ] = None,
) -> None:
    """Run `fasterkan predict`."""
    if is_fitted(run):
        predict_table(run, files, out, as_json=as_json)
        return
    if out is not None:
        raise ValueError("--out is only for tables; for images, redirect the output: --json > FILE")
    model = _load(run)
    reader = reader_of(run)
    if reader.note:
        typer.echo(f"note: {reader.note}", err=True)
    pictures, problems = reader.read(files)
    for problem in problems:
        typer.secho(f"error: {problem}", fg="red", err=True)
    if pictures:
        probabilities = _probabilities(model, torch.stack([picture.pixels for picture in pictures]))
        if as_json:
            _print_json(pictures, probabilities, reader)
        elif len(pictures) == 1:
            _print_one(pictures[0], probabilities[0], top, reader)
        else:
            _print_table(pictures, probabilities, top, reader)
    if problems:
        raise typer.Exit(1 if pictures else 2)


def _load(folder: Path) -> Pretrained:
    """The model of a run or of `save_pretrained`, checked to take 28 x 28 pixels."""
    if not folder.is_dir():
        raise RunFolderError(f"{folder} is not a folder; give one that `fasterkan train` or `save_pretrained` wrote")
    run = RunFolder(folder)
    model = from_pretrained(run.model if run.is_run() else folder)
    shape = image_shape(model) or tuple(getattr(model, "layers_hidden", ())[:1])
    if shape not in ((784,), (1, 28, 28)):
        sizes = " x ".join(map(str, shape))
        raise ValueError(f"{folder} has a model with {sizes} inputs; predict needs 784 (28 x 28 grey pixels)")
    return model


@torch.no_grad()
def _probabilities(model: Pretrained, pixels: Tensor) -> Tensor:
    """The probability of each class for images [N, 28, 28], float64 [N, C]."""
    dtype = next(model.parameters()).dtype
    return exact_on_cpu(model.eval()(pixels.flatten(1).to(dtype))).softmax(-1)


def _print_json(pictures: Sequence[Picture], probabilities: Tensor, reader: Reader) -> None:
    for picture, row in zip(pictures, probabilities, strict=True):
        named = {"classes": list(reader.classes)} if reader.classes else {}
        found = {"class": reader.name(int(row.argmax())), "probabilities": row.tolist(), **named}
        typer.echo(json.dumps({"image": str(picture.path), **found, **picture.about}))


def _print_one(picture: Picture, probabilities: Tensor, top: int, reader: Reader) -> None:
    """The most likely classes as bars, and the steps of the preparation."""
    typer.echo(f"{picture.path}: {reader.name(int(probabilities.argmax()))}")
    table = Table.grid(padding=(0, 1))
    for share, number in _best(probabilities, top):
        table.add_row(f"  {reader.name(number)}", Bar(1, 0, share, width=_BAR, color="green"), percent(share).rjust(8))
    Console(markup=False, highlight=False).print(table)
    typer.echo("\n".join(f"  - {step}" for step in picture.steps))


def _print_table(pictures: Sequence[Picture], probabilities: Tensor, top: int, reader: Reader) -> None:
    """A table with one row per image."""
    table = Table(box=None, pad_edge=False)
    table.add_column("image", overflow="fold")
    table.add_column("class", justify="right")
    table.add_column("")
    table.add_column("probability", justify="right")
    if top > 1:
        table.add_column("then", overflow="fold")
    for picture, row in zip(pictures, probabilities, strict=True):
        (share, number), *others = _best(row, top)
        then = [", ".join(f"{reader.name(n)} {percent(s)}" for s, n in others)] if top > 1 else []
        bar = Bar(1, 0, share, width=_BAR // 2, color="green")
        table.add_row(str(picture.path), str(reader.name(number)), bar, percent(share), *then)
    Console(markup=False, highlight=False).print(table)


def _best(probabilities: Tensor, top: int) -> list[tuple[float, int]]:
    best = probabilities.topk(min(top, probabilities.numel()))
    return list(zip(best.values.tolist(), best.indices.tolist(), strict=True))
