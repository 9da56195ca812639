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

HELP = """Draw a network: its edges, what its inputs are worth, and how it was trained.

Writes pictures (PNG and SVG): training, of a run; importance; network, with the function on every edge, where edges are
functions of one variable (norm="feature"). Needs matplotlib: pip install "fasterkan[plot]".

\b
Examples:
  fasterkan plot runs/first
  fasterkan plot runs/wine
  fasterkan plot models/wine --table wine.csv --target quality --out pictures
"""
_KINDS = ("png", "svg")


def plot_command(
    run: Annotated[Path, typer.Argument(help="Folder of a run, or of a saved model (then name its data).")],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the pictures. [default: RUN-pictures]", show_default=False)
    ] = None,
    table: Annotated[Path | None, typer.Option(help="CSV file with a line of names.", show_default=False)] = None,
    target: Annotated[
        str | None, typer.Option(help="Column to predict, several with commas.", show_default=False)
    ] = None,
    data: Annotated[str | None, typer.Option(help="Data set. [default: the run's]", show_default=False)] = None,
    data_root: Annotated[
        str | None, typer.Option(help="Folder of the data set's files. [default: the run's]", show_default=False)
    ] = None,
    rows: Annotated[int, typer.Option(help="How many images are looked at.", min=2)] = 1000,
    max_edges: Annotated[int, typer.Option(help="How many edges are drawn at most.", min=1)] = 60,
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
            'no picture of the edges: under a norm over rows they are no functions of one variable; norm="feature"'
        )


def beside(run: Path, word: str) -> Path:
    """Return the folder beside a run in which what is made of it lies."""
    whole = run.resolve()
    return whole.with_name(f"{whole.name}-{word}")


def _write(figure: Figure, folder: Path, name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for kind in _KINDS:
        figure.savefig(folder / f"{name}.{kind}", dpi=150)
    typer.echo(f"{folder / name}.png (and .svg)")
