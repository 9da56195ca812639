"""`fasterkan info`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .answers import shortened
from .describe import describe
from .fitted import is_fitted, load_fitted
from .saved import load
from .text import percent

HELP = """Describe a model.

The command shows the architecture, the number of edges, the parameters of each part, the number of trainable values and
of all stored values, the memory and the versions. For a run it also shows the accuracy.

\b
Examples:
  fasterkan info runs/first
  fasterkan info runs/first/model --json
"""


def info_command(
    path: Annotated[Path, typer.Argument(help="Folder of a run, or of a saved model.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
) -> None:
    """Run `fasterkan info`."""
    about = describe(load(path))
    if as_json:
        typer.echo(json.dumps(about))
        return
    parts, result, config = about["parameters"], about["result"], about["config"]
    rows: dict[str, str] = {
        "model": f"{about['model']} {about['layers']}",
        **{name: about[name] for name in ("basis", "norm", "base", "activation") if name in about},
        "edges": f"{about['edges']:,}",
        "parameters": ", ".join(f"{name} {count:,}" for name, count in parts.items()),
        "trainable": f"{about['trainable']:,}",
        "whole": f"{about['whole']:,} (all stored values, also those not learned)",
        "memory": f"{about['memory_bytes'] / 2**20:.2f} MiB, on disk {about['disk_bytes'] / 2**20:.2f} MiB",
        "versions": ", ".join(f"{name} {version}" for name, version in about["versions"].items()),
    }
    if config is not None and config["model"] != about["model"].lower():
        rows["model"] += f", made as {config['model']}"
    if config is not None:
        rows["trained on"] = f"{config['dataset']}, {config['epochs']} epochs, seed {config['seed']}"
    if result is not None:
        rows["accuracy"] = (
            f"test {percent(result['test_accuracy'])}, validation {percent(result['validation_accuracy'])} "
            f"after {result['training_seconds']:.1f} s of training"
        )
    if is_fitted(path):
        fitted = load_fitted(path)
        rows["fitted to"] = (
            f"{fitted.data}: {', '.join(c.name for c in fitted.targets)} from {shortened(fitted.input_names)}"
        )
    for name, text in rows.items():
        typer.echo(f"{name:<12}{text}")
