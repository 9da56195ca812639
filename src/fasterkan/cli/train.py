"""`fasterkan train`."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ..data import names
from ..train import (
    MILESTONE,
    RECIPES,
    Observer,
    RunFolder,
    RunResult,
    TensorBoard,
    TrainConfig,
    TrainingInterrupted,
    TrainResult,
    recipe,
    run,
    run_seeds,
)
from ..train.seeds import SUMMARY
from .options import given, numbers, options
from .progress import watch
from .text import percent

HELP = """Train a network on labelled images.

The network is validated after each epoch. At the end, the weights that are kept are evaluated once on the test images.

\b
Examples:
  fasterkan train mnist --recipe mnist-cpu --seed 0 --out runs/first
  fasterkan train mnist --layers 784,64,10 --epochs 3 --shift 1
  fasterkan train cifar10 --model fasterkanvolver --seeds 0,1,2
  fasterkan train path/to/images --model fasterkanvolver
  fasterkan train mnist --model kan --basis bspline --basis-arg degree=2
  fasterkan train mnist --model kan --model-arg norm=feature
  fasterkan train --resume runs/first

The command writes a folder with config.json, metrics.jsonl (one line for each epoch), model/ and result.json. During
the training, the folder also has checkpoints/.
"""


def train_command(
    dataset: Annotated[
        str | None,
        typer.Argument(help=f"Data set: {', '.join(names())}, or a folder with one folder of images for each class."),
    ] = None,
    recipe_name: Annotated[
        str | None,
        typer.Option("--recipe", help=f"Settings to start from: {', '.join(RECIPES)}. Other options change them."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Folder for the results of the run. [default: runs/DATASET-SEED]", show_default=False
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a run that is already in the folder.")
    ] = False,
    resume: Annotated[
        Path | None,
        typer.Option("--resume", help="Continue the run in this folder from its newest checkpoint.", metavar="RUN"),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(
            "--seeds",
            help="Seeds, such as 0,1,2. Train once for each of them, in one folder, and write a summary.",
            metavar="INT,...",
        ),
    ] = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write curves for TensorBoard into the run's folder.")
    ] = False,
    **fields: Any,
) -> None:
    """Run `fasterkan train`."""
    named: dict[str, Any] = {} if dataset is None else {"dataset": dataset}
    if resume is not None:
        strange = {"--recipe": recipe_name, "--out": out, "--overwrite": overwrite, "--seeds": seeds}
        if said := [name for name, value in strange.items() if value]:
            raise ValueError(f"--resume takes everything from the run's folder; leave out {', '.join(said)}")
        folder, own = resume, RunFolder(resume).load_config()
        changes = given(fields, own)
        if (model := changes.get("model", own.model)).lower() != own.model:
            raise ValueError(f"{resume} holds a run of {own.model}, it cannot be resumed as one of {model}")
        config = dataclasses.replace(own, **named, **changes)
    else:
        if dataset is None:
            raise ValueError("name a data set, such as mnist, or a run to go on with: --resume RUN")
        if recipe_name is None:
            config = TrainConfig(**named, **given(fields))
        else:
            config = recipe(recipe_name, **named, **given(fields, recipe(recipe_name)))
        name = Path(config.dataset).name or "images"
        folder = out if out is not None else Path("runs") / (f"{name}-{config.seed}" if seeds is None else name)

    def extra(place: Path) -> list[Observer]:
        return [TensorBoard(RunFolder(place).tensorboard)] if tensorboard else []

    if seeds is not None:
        _train_seeds(config, numbers(int, "seeds", seeds), folder, extra, overwrite)
        return
    curves = extra(folder)
    with watch() as observer:
        try:
            result = run(config, folder, [observer, *curves], overwrite=overwrite, resume=resume is not None)
        except TrainingInterrupted as interruption:
            typer.echo(_what_was_saved(interruption.result, folder), err=True)
            raise typer.Exit(130) from interruption
    for line in _summary(result, folder):
        typer.echo(line)


def _train_seeds(
    config: TrainConfig, seeds: Sequence[int], folder: Path, extra: Callable[[Path], list[Observer]], overwrite: bool
) -> None:
    """Train with each seed and print the table of them."""
    extra(folder)
    with watch() as observer:
        try:
            summary = run_seeds(config, seeds, folder, lambda place: [observer, *extra(place)], overwrite=overwrite)
        except TrainingInterrupted as interruption:
            typer.echo(f"interrupted; the runs so far lie in {folder}, the last one can be resumed", err=True)
            raise typer.Exit(130) from interruption
    typer.echo("seed       test         validation   training")
    for one in summary["runs"]:
        accuracies = f"{percent(one['test_accuracy']):<13}{percent(one['validation_accuracy']):<13}"
        typer.echo(f"{one['seed']:<11}{accuracies}{one['training_seconds']:.1f} s")
    test = summary["test_accuracy"]
    sd = "" if test["sd"] is None else f" ± {100 * test['sd']:.2f}"
    typer.echo(
        f"test accuracy {100 * test['mean']:.2f}{sd} % (mean ± sd of {len(seeds)} seeds), see {folder / SUMMARY}"
    )


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
    further = ""
    if RunFolder(folder).checkpoints.is_dir():
        further = f"; to go on: fasterkan train --resume {folder}"
    if not training.epochs:
        return f"interrupted before the end of the first epoch: no model was saved{further}"
    kept = training.kept
    return (
        f"interrupted after {len(training.epochs)} epochs: {folder / 'model'} holds the weights of epoch {kept.epoch} "
        f"(validation {percent(kept.validation_accuracy)}); the test images were not looked at{further}"
    )


def _with_options(command: Any) -> None:
    """Let typer see one option for each field instead of `**fields`."""
    own = inspect.signature(command, eval_str=True)
    parameters = [p for p in own.parameters.values() if p.kind is not p.VAR_KEYWORD] + options()
    command.__signature__ = own.replace(parameters=[p.replace(kind=p.KEYWORD_ONLY) for p in parameters])
    command.__annotations__ = {p.name: p.annotation for p in parameters}


_with_options(train_command)
