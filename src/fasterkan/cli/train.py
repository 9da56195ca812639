"""`fasterkan train`."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Annotated, Any

import typer

from ..train import MILESTONE, RunResult, TrainConfig, TrainingInterrupted, TrainResult, recipe, run
from .options import given, options
from .progress import watch
from .text import percent

HELP = """Train a FasterKAN on labelled images.

Validation images are looked at after each epoch, test images once, by the weights that are kept.

\b
Examples:
  fasterkan train mnist --recipe mnist-cpu --seed 0 --out runs/first
  fasterkan train mnist --layers 784,64,10 --epochs 3 --shift 1
  fasterkan train fashion-mnist --recipe mnist-cpu --overwrite

\b
The folder holds config.json, metrics.jsonl (one line an epoch), model/ and result.json.
"""


def train_command(
    dataset: Annotated[str, typer.Argument(help="Data set: mnist or fashion-mnist.")],
    recipe_name: Annotated[
        str | None, typer.Option("--recipe", help="Start from a recipe, mnist-cpu; other options change it.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of the run. [default: runs/DATASET-SEED]", show_default=False)
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a run that lies in the folder.")] = False,
    **fields: Any,
) -> None:
    """Run `fasterkan train`."""
    changes = {"dataset": dataset, **given(fields)}
    config = recipe(recipe_name, **changes) if recipe_name is not None else TrainConfig(**changes)
    folder = out if out is not None else Path("runs") / f"{config.dataset}-{config.seed}"
    with watch() as observer:
        try:
            result = run(config, folder, [observer], overwrite=overwrite)
        except TrainingInterrupted as interruption:
            typer.echo(_what_was_saved(interruption.result, folder), err=True)
            raise typer.Exit(130) from interruption
    for line in _summary(result, folder):
        typer.echo(line)


def _summary(result: RunResult, folder: Path) -> list[str]:
    training, kept = result.training, result.training.kept
    passed = training.seconds_to(MILESTONE)
    when = (
        f"did not pass {percent(MILESTONE)}" if passed is None else f"passed {percent(MILESTONE)} after {passed:.1f} s"
    )
    return [
        f"run kept in {folder} (weights of epoch {kept.epoch}, the {training.keep})",
        f"validation accuracy {when} (the original FasterKAN: {percent(MILESTONE)} test after 195 s on a laptop GPU)",
        f"test accuracy {percent(result.test.accuracy)} (validation {percent(kept.validation_accuracy)}, "
        f"{training.training_seconds:.1f} s training)",
    ]


def _what_was_saved(training: TrainResult, folder: Path) -> str:
    if not training.epochs:
        return f"interrupted before the end of the first epoch: no model was saved, {folder} holds the configuration"
    kept = training.kept
    return (
        f"interrupted after {len(training.epochs)} epochs: {folder / 'model'} holds the weights of epoch {kept.epoch} "
        f"(validation {percent(kept.validation_accuracy)}); the test images were not looked at"
    )


def _with_options(command: Any) -> None:
    """Let typer see one option for each field instead of `**fields`."""
    own = inspect.signature(command, eval_str=True)
    parameters = [p for p in own.parameters.values() if p.kind is not p.VAR_KEYWORD] + options()
    command.__signature__ = own.replace(parameters=[p.replace(kind=p.KEYWORD_ONLY) for p in parameters])
    command.__annotations__ = {p.name: p.annotation for p in parameters}


_with_options(train_command)
