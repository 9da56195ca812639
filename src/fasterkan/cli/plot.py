"""`fasterkan plot`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..interpret import plot
from ..nn import FeatureScaling
from ..train import RunFolder
from .rows import load_network_data

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HELP = """Draw pictures of a network and of its training.

The command writes each picture as a PNG and an SVG file. "training" shows the losses and accuracies of a training run.
"importance" shows how much each input matters. "network" shows the functions on the edges; it is drawn only if each
edge is a function of one variable (norm="feature"). Pictures need matplotlib: pip install "fasterkan[plot]".

\b
Examples:
  fasterkan plot runs/first
  fasterkan plot runs/wine
  fasterkan plot models/wine --table wine.csv --target quality --out pictures
"""
_KINDS = ("png", "svg")


def plot_command(
    run: Annotated[
        Path, typer.Argument(help="Folder of a run, or of a saved model. A saved model needs --data or --table.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder for the pictures. [default: RUN-pictures]", show_default=False)
    ] = None,
    table: Annotated[Path | None, typer.Option(help="CSV file with a header line.", show_default=False)] = None,
    target: Annotated[
        str | None, typer.Option(help="Target column; separate several with commas.", show_default=False)
    ] = None,
    data: Annotated[str | None, typer.Option(help="Data set. [default: that of the run]", show_default=False)] = None,
    data_root: Annotated[
        str | None, typer.Option(help="Folder of the data set's files. [default: that of the run]", show_default=False)
    ] = None,
    rows: Annotated[int, typer.Option(help="Number of images to use.", min=2)] = 1000,
    max_edges: Annotated[int, typer.Option(help="Largest number of edges to draw.", min=1)] = 60,
) -> None:
    """Run `fasterkan plot`."""
    found = load_network_data(run, data, data_root, table, target, rows)
    folder = beside(run, "pictures") if out is None else out
    if RunFolder(run).is_run() and RunFolder(run).metrics.is_file():
        _write(plot.training(run, title=run.name), folder, "training")
    x = found.train[0]
    _write(plot.importance(found.net, x, names=found.inputs, image=found.image), folder, "importance")
    norms = [layer.norm for layer in found.net.kan_layers()]
    if all(norm is None or isinstance(norm, FeatureScaling) for norm in norms):
        picture = plot.network(found.net, x, inputs=found.inputs, outputs=found.outputs, max_edges=max_edges)
        _write(picture, folder, "network")
    else:
        typer.echo(
            "no picture of the edges: with a norm over rows, they are not functions of one variable; use "
            'norm="feature" to get them'
        )


def beside(run: Path, word: str) -> Path:
    """Return a folder beside the run for results of the run, RUN-WORD."""
    whole = run.resolve()
    return whole.with_name(f"{whole.name}-{word}")


def _write(figure: Figure, folder: Path, name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for kind in _KINDS:
        figure.savefig(folder / f"{name}.{kind}", dpi=150)
    typer.echo(f"{folder / name}.png (and .svg)")
