"""`fasterkan prune`."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from .._files import write_atomically
from ..fit import fit
from ..fit.losses import LossName
from ..interpret import PruneReport, prune
from ..models import KAN
from ..models.pretrained import CONFIG
from ..train import RunFolderError, TrainConfig, train
from .answers import errors, outputs_of
from .fitted import FIT
from .plot import beside
from .rows import Rows, load_rows

HELP = """Make a network smaller: without the inputs, nodes, edges and layers that it does not need.

Writes a folder with the smaller model, as every command reads it, and report.txt and report.json with what went and
what it cost. Images: the share of wrong labels on the validation images decides, and each round ends with some epochs
of training as in the run. Of a run of `fasterkan fit` it takes the rows that were fitted, and each round ends with
a fit; the rows of the test tell what it cost.

\b
Examples:
  fasterkan prune runs/first --keep 0.1
  fasterkan prune runs/wine
  fasterkan prune models/wine --table wine.csv --target quality --tolerance 0.01
"""


def prune_command(
    run: Annotated[Path, typer.Argument(help="Folder of a run, or of a saved model (then name its data).")],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the smaller model. [default: RUN-pruned]", show_default=False)
    ] = None,
    tolerance: Annotated[
        float, typer.Option(help="How much of what it explains may be lost, 0 to 1.", min=0, max=1)
    ] = 0.003,
    keep: Annotated[float, typer.Option(help="Stop at this share of the edges, 0 to 1.", min=0, max=1)] = 0.0,
    epochs: Annotated[
        int, typer.Option(help="Of training after each round; for a run of `fasterkan fit` a fit. 0: none.", min=0)
    ] = 2,
    rounds: Annotated[int, typer.Option(help="At most so many.", min=1)] = 6,
    edges: Annotated[bool, typer.Option(help="Remove single edges too, not only whole inputs and nodes.")] = True,
    table: Annotated[Path | None, typer.Option(help="CSV file with a line of names.", show_default=False)] = None,
    target: Annotated[
        str | None, typer.Option(help="Column to predict, several with commas.", show_default=False)
    ] = None,
    data: Annotated[str | None, typer.Option(help="Data set. [default: the run's]", show_default=False)] = None,
    data_root: Annotated[
        str | None, typer.Option(help="Folder of the data set's files. [default: the run's]", show_default=False)
    ] = None,
    rows: Annotated[int, typer.Option(help="How many training images give the importances.", min=10)] = 2000,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a model that lies in the folder.")] = False,
) -> None:
    """Run `fasterkan prune`."""
    found = load_rows(run, data, data_root, table, target, rows)
    folder = beside(run, "pruned") if out is None else out
    if (folder / CONFIG).exists() and not overwrite:
        raise RunFolderError(f"{folder} holds a model already; choose another folder with --out, or --overwrite")
    options: dict[str, Any] = {"tolerance": tolerance, "keep": keep, "rounds": rounds, "edges": edges}
    if found.images is not None:
        options |= {"loss": "error", "validation": found.held}
        if epochs:
            options["refit"] = lambda net: _train(net, found, epochs)
    if found.fitted is not None:
        if found.fitted.labels is not None:
            options["loss"] = "logistic"
        if epochs:
            options["refit"] = lambda net: _fit(net, found)
    report = prune(found.net, *found.train, **options)
    report.net.save_pretrained(folder)
    said = "\n".join([report.text(found.inputs), *_off(found, report.net)])
    text = {"report.txt": said + "\n", "report.json": json.dumps(_numbers(report), indent=2) + "\n"}
    if found.fitted is not None:
        text[FIT] = found.fitted.to_json()
    write_atomically({folder / name: content.encode() for name, content in text.items()})
    typer.echo(f"{said}\nwritten to {folder}")


def _fit(net: KAN, found: Rows) -> None:
    """A fit that goes on from the weights of the network."""
    assert found.fitted is not None
    fit(net, *found.train, starts=0, loss=cast(LossName, found.fitted.loss), seed=found.fitted.seed)
    net.eval()


def _off(found: Rows, net: KAN) -> list[str]:
    """How far off the two networks are on the rows of the test."""
    if found.fitted is None or found.held is None:
        return []
    x, y = found.held
    both = (errors(found.fitted, outputs_of(each, x), y.double()) for each in (found.net, net))
    what = "RMSE" if found.fitted.labels is None else "wrong labels, share"
    return [
        f"test        {before.target}: {what} {before.error:.4g} -> {after.error:.4g} on {after.rows} rows"
        for before, after in zip(*both, strict=True)
    ]


def _train(net: KAN, found: Rows, epochs: int) -> None:
    """Some epochs as in the run, with half of its learning rate."""
    assert found.images is not None
    config = found.saved.config or TrainConfig()
    config = dataclasses.replace(config, epochs=epochs, lr=config.lr / 2, keep="last")
    train(net, *found.images, config)
    net.cpu().eval()
    typer.echo(f"refitted {[layer.in_features for layer in net.kan_layers()]}", err=True)


def _numbers(report: PruneReport) -> dict[str, Any]:
    """The report as JSON holds it."""
    fields = {f.name: getattr(report, f.name) for f in dataclasses.fields(report) if f.name != "net"}
    return fields | {name: dataclasses.asdict(fields[name]) for name in ("before", "after")}
