"""Training the same run with several seeds, and a summary of the results."""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .._files import write_atomically
from .config import TrainConfig
from .folder import RunFolder
from .observers import Observer
from .runs import run

SUMMARY = "summary.json"
_NUMBERS = ("test_accuracy", "validation_accuracy", "training_seconds")


@dataclasses.dataclass(frozen=True)
class Spread:
    """Mean and standard deviation of a number over the seeds."""

    mean: float
    sd: float | None
    """Standard deviation of the sample; None for one seed."""


def run_seeds(
    config: TrainConfig,
    seeds: Sequence[int],
    folder: str | Path,
    observers: Callable[[Path], Sequence[Observer]] = lambda path: (),
    *,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Train once for each seed, in the folders `seed-0`, `seed-1` and so on, and write `summary.json` beside them.

    Args:
        config: the configuration of the runs. Its seed is not used.
        seeds: one or more different seeds.
        folder: the folder that contains the folders of the runs.
        observers: a function that makes the observers of a run from its folder.
        overwrite: replace existing runs in these folders.

    Returns:
        The content of `summary.json`: `runs` with one entry per seed, and mean and standard deviation of test accuracy,
        validation accuracy and training seconds.

    Raises:
        ValueError: there is no seed, or a seed is given twice.
        RunFolderError: a folder is not empty. Nothing was trained then.
        Exception: any exception of `run`. Finished runs are kept.
    """
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds must be one or more different numbers, such as 0,1,2; got {list(seeds)}")
    configs = [dataclasses.replace(config, seed=seed) for seed in seeds]
    places = [Path(folder) / f"seed-{seed}" for seed in seeds]
    for place in places:
        RunFolder(place).check_free(overwrite=overwrite)
    runs = []
    for one, place in zip(configs, places, strict=True):
        result = run(one, place, observers(place), overwrite=overwrite).to_dict()
        runs.append({"seed": one.seed, **{name: result[name] for name in _NUMBERS}})
    summary = {"runs": runs, **{name: dataclasses.asdict(spread([r[name] for r in runs])) for name in _NUMBERS}}
    write_atomically({Path(folder) / SUMMARY: (json.dumps(summary, indent=2) + "\n").encode()})
    return summary


def spread(values: Sequence[float]) -> Spread:
    """Return mean and standard deviation of at least one number."""
    return Spread(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None)
