"""`fasterkan prune`."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from ..fitting import fit
from ..fitting.losses import LossName
from ..interpret import PruneReport, prune
from ..models import KAN
from ..train import TrainConfig, train
from .answers import errors, outputs_of
from .fit_files import draw, network_picture, run_files, said_of, write_files
from .fitted import Encoded, check_free, counted
from .plot import beside
from .rows import NetworkData, load_network_data

HELP = """Make a network smaller.

The command removes the inputs, nodes, edges and layers that the network does not need. It writes the smaller model into
a new folder, which the other commands can read. In this folder, report.txt and report.json say what was removed, and
how much error this added.

For a model of images, the share of wrong labels on the validation images decides what may be removed. After each round,
the network is trained again for some epochs, with the settings of its run. For a run of `fasterkan fit`, the error on
the fitted rows decides. After each round, the network is fitted again. The report gives the error on the test rows.

\b
Examples:
  fasterkan prune runs/first --keep 0.1
  fasterkan prune runs/wine --tolerance 0.01
  fasterkan prune models/wine --table wine.csv --target quality
"""


def prune_command(
    run: Annotated[
        Path, typer.Argument(help="Folder of a run, or of a saved model. A saved model needs --data or --table.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the smaller model and its report. [default: RUN-pruned]", show_default=False),
    ] = None,
    tolerance: Annotated[
        float, typer.Option(help="Share of what the network explains that pruning may lose, 0 to 1.", min=0, max=1)
    ] = 0.003,
    keep: Annotated[float, typer.Option(help="Stop when this share of the edges is left, 0 to 1.", min=0, max=1)] = 0.0,
    epochs: Annotated[
        int,
        typer.Option(
            help="Epochs of training after each round; a run of `fasterkan fit` is fitted again instead. 0: neither.",
            min=0,
        ),
    ] = 2,
    rounds: Annotated[int, typer.Option(help="Largest number of rounds.", min=1)] = 6,
    edges: Annotated[bool, typer.Option(help="Also remove single edges, not only whole inputs and nodes.")] = True,
    table: Annotated[Path | None, typer.Option(help="CSV file with a header line.", show_default=False)] = None,
    target: Annotated[
        str | None, typer.Option(help="Target column; separate several with commas.", show_default=False)
    ] = None,
    data: Annotated[str | None, typer.Option(help="Data set. [default: that of the run]", show_default=False)] = None,
    data_root: Annotated[
        str | None, typer.Option(help="Folder of the data set's files. [default: that of the run]", show_default=False)
    ] = None,
    rows: Annotated[int, typer.Option(help="Number of training images for the importances.", min=10)] = 2000,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing model in the folder.")] = False,
) -> None:
    """Run `fasterkan prune`."""
    found = load_network_data(run, data, data_root, table, target, rows)
    folder = beside(run, "pruned") if out is None else out
    check_free(folder, overwrite=overwrite)
    options: dict[str, Any] = {"tolerance": tolerance, "keep": keep, "rounds": rounds, "edges": edges}
    if found.images is not None:
        options |= {"loss": "error", "validation": found.held}
        if epochs:
            options["refit"] = lambda net: _train(net, found, epochs)
    if found.fitted is not None:
        if found.fitted.loss != "squared":
            options |= {"loss": found.fitted.loss, "delta": found.fitted.delta}
        if epochs:
            options["refit"] = lambda net: _fit(net, found)
    report = prune(found.net, *found.train, **options)
    said = "\n".join([report.text(found.inputs), *_off(found, report.net)])
    files = {"report.txt": said + "\n", "report.json": json.dumps(_numbers(report), indent=2) + "\n"}
    pictures = {}
    if found.fitted is not None and found.encoded is not None:
        fitted = dataclasses.replace(found.fitted, result=_result(run, found.encoded, report))
        files |= run_files(fitted, said_of(fitted, report.net, *found.encoded))
        pictures = network_picture(fitted, report.net, found.encoded[0])
    write_files(folder, report.net, files)
    draw(folder, pictures)
    typer.echo(f"{said}\nwritten to {folder}")


def _result(run: Path, rows: tuple[Encoded, Encoded], report: PruneReport) -> dict[str, Any]:
    """The result in `fit.json` for the smaller network."""
    return {
        "pruned_from": str(run.resolve()),
        "loss": report.loss_after,
        "widths": list(report.widths_after),
        "edges": report.after.edges,
        **counted(*rows),
    }


def _fit(net: KAN, found: NetworkData) -> None:
    """Fit the network, starting from its present weights."""
    assert found.fitted is not None
    fitted = found.fitted
    loss = cast(LossName, fitted.loss)
    fit(net, *found.train, starts=0, loss=loss, delta=fitted.delta, sparsity=fitted.sparsity, seed=fitted.seed)
    net.eval()


def _off(found: NetworkData, net: KAN) -> list[str]:
    """The errors of both networks on the test rows."""
    if found.fitted is None or found.held is None:
        return []
    x, y = found.held
    both = (errors(found.fitted, outputs_of(each, x), y.double()) for each in (found.net, net))
    lines = []
    for before, after in zip(*both, strict=True):
        what = "RMSE" if found.fitted.labels is None else "wrong labels, share"
        text = f"test        {before.target}: {what} {before.error:.4g} -> {after.error:.4g}"
        if found.fitted.loss == "huber":
            text += f", median absolute error {before.median:.4g} -> {after.median:.4g}"
        lines.append(f"{text} on {after.rows} rows")
    return lines


def _train(net: KAN, found: NetworkData, epochs: int) -> None:
    """Train for some epochs as in the run, with half of its learning rate."""
    assert found.images is not None
    config = found.saved.config or TrainConfig()
    config = dataclasses.replace(config, epochs=epochs, lr=config.lr / 2, keep="last")
    train(net, *found.images, config)
    net.cpu().eval()
    typer.echo(f"refitted {[layer.in_features for layer in net.kan_layers()]}", err=True)


def _numbers(report: PruneReport) -> dict[str, Any]:
    """The report as values for JSON."""
    fields = {f.name: getattr(report, f.name) for f in dataclasses.fields(report) if f.name != "net"}
    return fields | {name: dataclasses.asdict(fields[name]) for name in ("before", "after")}
