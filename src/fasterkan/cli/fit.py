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

DATA is a CSV file with a line of names; commas, semicolons or tabs. Columns of a few different texts are categories,
a target of texts is a label; rows with missing values are left out, and so are columns of one value. Some rows are held
back for a test.

\b
Examples:
  fasterkan fit wine.csv --target quality
  fasterkan fit plant.csv --target yield,purity --inputs heat,pressure --width 3 --out runs/plant
  fasterkan fit patients.csv --target outcome --loss logistic --test others.csv

\b
The folder holds report.txt, predictions.csv, pictures of the network and of the fit (with matplotlib), fit.json and the
model, which `fasterkan predict RUN new.csv`, `plot RUN` and `prune RUN` read.
"""


def fit_command(
    data: Annotated[Path, typer.Argument(help="CSV file with a line of names.")],
    target: Annotated[
        list[str], typer.Option("--target", "-t", help="Column to predict; several with commas, or the option again.")
    ],
    inputs: Annotated[
        list[str] | None,
        typer.Option(help="Columns to predict from, with commas. [default: all others]", show_default=False),
    ] = None,
    width: Annotated[
        str, typer.Option(help='Nodes of the hidden layers, "5" or "5,3"; "none" for no layer; "auto" tries some.')
    ] = "auto",
    basis: Annotated[str, typer.Option(help="Functions on the edges.", metavar="|".join(BASES))] = "bspline",
    grid: Annotated[
        str, typer.Option(help='Finest grid, gone through from coarse to fine; or the grids, "3,6,12".')
    ] = "12",
    degree: Annotated[
        int | None, typer.Option(help="Of B-splines. [default: 5]", min=1, max=10, show_default=False)
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(
            help="[default: squared for numbers, logistic for labels]", metavar="|".join(LOSSES), show_default=False
        ),
    ] = None,
    test_share: Annotated[float, typer.Option(help="Rows held back for the test, 0 to 0.9.", min=0, max=0.9)] = 0.2,
    test: Annotated[
        Path | None, typer.Option(help="CSV file for the test instead; then all rows of DATA are fitted.")
    ] = None,
    sparsity: Annotated[
        float | None,
        typer.Option(
            help="Switches edges off, 0.001 to 0.1. [default: 0, 0.001 for labels]", min=0, show_default=False
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the starts and of the rows held back.", min=0, max=MOST_SEED)] = 0,
    seconds: Annotated[float | None, typer.Option(help="Time for the fit; the best so far is kept.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run. [default: runs/NAME of DATA]", show_default=False)
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a fit that lies in the folder.")] = False,
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
