"""What the results of studies/which_basis.py say: medians, spreads and ranks, over tasks and over groups of tasks."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from typing import Any, NamedTuple

DEFAULT = "RSWAF"
EQUAL = f"MLP like {DEFAULT}"


class Cell(NamedTuple):
    """One network on one task: its error's median and range over seeds, inf where it diverged, and what it costs."""

    median: float
    low: float
    high: float
    parameters: int
    step: dict[str, float] | None


class Results:
    """The rows of a results file, by task and network, in the file's order.

    Args:
        rows: of kind "run" (task, group, network, seed, error, constant_error, parameters, functions) and of kind
            "step" (task, network, median_ms, p20_ms, p80_ms). An error of None, diverged, counts as inf.

    Raises:
        ValueError: a network lacks a run that others have.
    """

    def __init__(self, rows: Iterable[dict[str, Any]]) -> None:
        rows = list(rows)
        runs = [row for row in rows if row["kind"] == "run"]
        self.tasks = {row["task"]: row["group"] for row in runs}
        self.networks = list(dict.fromkeys(row["network"] for row in runs))
        self.bases = [name for name in self.networks if not is_mlp(name)]
        self.mlps = [name for name in self.networks if is_mlp(name)]
        self.functions = {row["network"]: row["functions"] for row in runs}
        self.seeds = sorted({row["seed"] for row in runs})
        self.errors = {(row["task"], row["network"], row["seed"]): finite(row["error"]) for row in runs}
        self.constants = {(row["task"], row["seed"]): row["constant_error"] for row in runs}
        steps = {(row["task"], row["network"]): row for row in rows if row["kind"] == "step"}
        parameters = {(row["task"], row["network"]): row["parameters"] for row in runs}
        wanted = {(task, name, seed) for task in self.tasks for name in self.networks for seed in self.seeds}
        if missing := sorted(wanted - set(self.errors)):
            raise ValueError(f"runs are missing, {missing[0]} for one: start studies/which_basis.py again to go on")
        self.cells = {
            task: {
                name: Cell(*spread(self.by_seed(task, name)), parameters[task, name], steps.get((task, name)))
                for name in self.networks
            }
            for task in self.tasks
        }
        self.telling = [task for task in self.tasks if self.better_than_constant(task)]
        """The tasks on which any network learned something for certain; the others are in no average."""
        of = {task: self.tasks[task] for task in self.telling}
        self.groups = {group: [task for task in of if of[task] == group] for group in of.values()}

    def by_seed(self, task: str, network: str) -> list[float]:
        """Return the errors of a network on a task, a seed each."""
        return [self.errors[task, network, seed] for seed in self.seeds]

    def best(self, task: str) -> str:
        """Return the basis of the lowest median error."""
        return min(self.bases, key=lambda name: self.cells[task][name].median)

    def level(self, task: str) -> list[str]:
        """Return the bases whose median is within the range of the best one over its seeds, the best one first."""
        limit = self.cells[task][self.best(task)].high
        near = [name for name in self.bases if self.cells[task][name].median <= limit]
        return sorted(near, key=lambda name: self.cells[task][name].median)

    def ranks(self, task: str) -> dict[str, int]:
        """Return each network's place: one more than there are bases with a lower median; MLPs take nobody's place."""
        return places({name: cell.median for name, cell in self.cells[task].items()}, self.bases)

    def average_place(self) -> dict[str, tuple[float, float, float]]:
        """Return each network's place averaged over the telling tasks and seeds, and the range over single seeds."""
        each: dict[str, list[float]] = {name: [] for name in self.networks}
        for seed in self.seeds:
            found = [
                places({name: self.errors[task, name, seed] for name in self.networks}, self.bases)
                for task in self.telling
            ]
            for name in self.networks:
                each[name].append(statistics.mean(place[name] for place in found))
        averages = {name: (statistics.mean(own), min(own), max(own)) for name, own in each.items()}
        return dict(sorted(averages.items(), key=lambda item: item[1][0]))

    def group_errors(self, group: str) -> dict[str, tuple[float, float, float]]:
        """Return each network's error by the best basis's median, geometric means over a group: median, low, high."""
        lowest = {task: self.cells[task][self.best(task)].median for task in self.groups[group]}
        return {
            name: spread(
                [
                    geometric_mean([self.errors[task, name, seed] / value for task, value in lowest.items()])
                    for seed in self.seeds
                ]
            )
            for name in self.networks
        }

    def group_cost(self, group: str, what: str) -> dict[str, float]:
        """Return each network's "parameters" or "step" (ms, if timed), the geometric mean over a group's tasks."""
        found = {}
        for name in self.networks:
            cells = [self.cells[task][name] for task in self.groups[group]]
            if what == "parameters":
                found[name] = geometric_mean([cell.parameters for cell in cells])
            elif all(cell.step for cell in cells):
                found[name] = geometric_mean([cell.step["median_ms"] for cell in cells if cell.step])
        return found

    def constant(self, task: str) -> float:
        """Return the error of always saying the training rows' mean or most frequent label, the median of the seeds."""
        return statistics.median(self.constants[task, seed] for seed in self.seeds)

    def better_than_constant(self, task: str) -> list[str]:
        """Return the networks that are better than that in every seed."""
        return [
            name
            for name in self.networks
            if all(self.errors[task, name, seed] < self.constants[task, seed] for seed in self.seeds)
        ]

    def diverged(self) -> dict[tuple[str, str], int]:
        """Return in how many seeds a network's error was not finite, by task and network, where any was."""
        pairs = ((task, name) for task in self.tasks for name in self.networks)
        counts = {pair: sum(not math.isfinite(e) for e in self.by_seed(*pair)) for pair in pairs}
        return {pair: count for pair, count in counts.items() if count}


def is_mlp(network: str) -> bool:
    """Say whether a network is one of the MLPs beside the bases."""
    return network.startswith("MLP")


def finite(error: float | None) -> float:
    """Return the error, inf for one that is not there."""
    return math.inf if error is None else error


def spread(values: list[float]) -> tuple[float, float, float]:
    """Return the median, the lowest and the highest."""
    return statistics.median(values), min(values), max(values)


def places(values: dict[str, float], among: list[str]) -> dict[str, int]:
    """Return for each name one more than there are lower values among some names."""
    return {name: 1 + sum(values[other] < value for other in among) for name, value in values.items()}


def geometric_mean(values: list[float]) -> float:
    """Return the geometric mean, inf if any value is, 0 if any is 0."""
    if math.inf in values:
        return math.inf
    return 0.0 if 0 in values else statistics.geometric_mean(values)
