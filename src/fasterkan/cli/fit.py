"""`fasterkan fit`."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Annotated

import typer

from ..fitting import FitObserver, Phase
from .fit_columns import choose
from .fit_files import write_run
from .fit_network import BASES, LOSSES, NetworkOptions, fit_network
from .fitted import MOST_SEED, check_free

HELP = """Fit a small network to a table, and say what it found.

DATA is a CSV file. Its first line has the names of the columns. Commas, semicolons or tabs separate the columns. A
column with a few different texts is a category. A target of texts is a label. Rows with missing values and columns
with a single value are left out. Some rows are not fitted: they are kept for a test.

\b
Examples:
  fasterkan fit wine.csv --target quality
  fasterkan fit plant.csv --target yield,purity --inputs heat,pressure
  fasterkan fit patients.csv --target outcome --loss logistic --test other.csv

The command writes a folder with report.txt, predictions.csv, fit.json and the model. With matplotlib, it also draws the
network and the fit. `fasterkan predict`, `fasterkan plot` and `fasterkan prune` can read this folder.
"""


def fit_command(
    data: Annotated[Path, typer.Argument(help="CSV file; its first line has the names of the columns.")],
    target: Annotated[
        list[str],
        typer.Option("--target", "-t", help="Column to predict. For several, use commas or repeat the option."),
    ],
    inputs: Annotated[
        list[str] | None,
        typer.Option(help="Columns to predict from; use commas. [default: all others]", show_default=False),
    ] = None,
    width: Annotated[
        str,
        typer.Option(help='Nodes of each hidden layer, such as 5 or 5,3; "none": no hidden layer; "auto" tries some.'),
    ] = "auto",
    basis: Annotated[str, typer.Option(help="Functions on the edges.", metavar="|".join(BASES))] = "bspline",
    grid: Annotated[
        str,
        typer.Option(help="Intervals of the finest grid; the fit starts with coarser ones. Or all grids: 3,6,12."),
    ] = "12",
    degree: Annotated[
        int | None, typer.Option(help="Degree of the B-splines. [default: 5]", min=1, max=10, show_default=False)
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(
            help="Loss. [default: squared for numbers, logistic for labels]",
            metavar="|".join(LOSSES),
            show_default=False,
        ),
    ] = None,
    test_share: Annotated[
        float, typer.Option(help="Share of the rows that is kept for the test, 0 to 0.9.", min=0, max=0.9)
    ] = 0.2,
    test: Annotated[
        Path | None, typer.Option(help="CSV file with the rows of the test; all rows of DATA are then fitted.")
    ] = None,
    sparsity: Annotated[
        float | None,
        typer.Option(
            help="Penalty that switches off edges; try 0.001 to 0.1. [default: 0, for labels 0.001]",
            min=0,
            show_default=False,
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(help="Random seed for the starts of the fit and for the rows of the test.", min=0, max=MOST_SEED),
    ] = 0,
    seconds: Annotated[
        float | None, typer.Option(help="Longest time for the fit, in seconds; the best network so far is kept.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run. [default: runs/NAME, for NAME.csv]", show_default=False)
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a fit that is already in the folder.")
    ] = False,
) -> None:
    """Run `fasterkan fit`."""
    options = NetworkOptions(width, basis, grid, degree, loss, seed, seconds, sparsity)
    options.check()
    chosen = choose(data, target, inputs, loss, test, test_share, seed)
    folder = Path("runs") / data.stem if out is None else out
    check_free(folder, overwrite=overwrite)
    for note in chosen.notes:
        typer.echo(f"note: {note}", err=True)
    made = fit_network(chosen, options, None if sys.stderr.isatty() else PhaseLines())
    fitted = dataclasses.replace(
        chosen.fitted, result=made.summary | chosen.fitted.result, delta=made.delta, sparsity=made.sparsity
    )
    typer.echo(write_run(folder, chosen, fitted, made))
    typer.echo(f"written to {folder}; for new rows: fasterkan predict {folder} new.csv")


class PhaseLines(FitObserver):
    """One plain line for each phase, where there is no terminal for a bar."""

    def on_phase(self, phase: Phase) -> None:
        grid = "" if phase.grid is None else f", grid {phase.grid}"
        held = "" if phase.best.held_out is None else f", held out {phase.best.held_out:.3g}"
        typer.echo(f"{phase.name}{grid}: loss {phase.best.loss:.3g}{held}, {phase.seconds:.1f} s", err=True)
