"""Poisson, Helmholtz and Burgers by the second-order fit: a KAN, MLPs of equal size, and pykan's recipe.

python studies/pde.py [--pykan PYTHON] [--problems a,b] [--seeds 0,1,2] [--no-pictures]

Nothing is chosen by the known solution: only the error that is written down uses it, on a finer grid than any that is
fitted. Adam and pykan get the processor time that the KAN's fit took. PYTHON is an interpreter that has pykan 0.2.8.
Each finished case is appended to results/pde.jsonl at once; a second run does only what is missing there.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import fasterkan as fk

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from _common import machine
from _pde_networks import SETTINGS, Setting
from _pde_problems import PROBLEMS, Problem

RESULTS = Path(__file__).parent / "results" / "pde.jsonl"
WEIGHTS = Path(__file__).parents[1] / "runs" / "pde"
ADAM_RATE = 1e-2


class Clock:
    """Wall and processor seconds since it was made."""

    def __init__(self) -> None:
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def read(self) -> dict[str, float]:
        """Return both."""
        return {"seconds": time.perf_counter() - self.wall, "cpu_seconds": time.process_time() - self.cpu}


def second_order(problem: Problem, net: nn.Module, setting: Setting, seed: int, *, built_in: bool) -> dict[str, Any]:
    """Fit by fk.fit; with a schedule, in rounds, each from where the last ended, on new points and its own equation."""
    clock, iterations, result = Clock(), 0, None
    for turn, factor in enumerate(setting.schedule):
        left = max(1.0, setting.seconds - clock.read()["seconds"])
        first = {"starts": setting.starts, "grids": setting.grids} if not turn else {"starts": 0, "grids": None}
        points = setting.points(problem, seed, turn)
        result = fk.fit(
            net, points, residual=problem.made_easier(factor).terms(points, built_in=built_in), seed=seed, seconds=left,
            polish=not turn, iterations=setting.iterations, progress=False, **first,
        )  # fmt: skip
        iterations += sum(phase.iterations for phase in result.phases)
        if result.cut_by_clock:
            break
    assert result is not None
    return {"residual": result.loss, "iterations": iterations, "stopped": result.stopped, **clock.read()}


def adam(problem: Problem, net: nn.Module, setting: Setting, seed: int, seconds: float) -> dict[str, Any]:
    """Train by Adam on the same sum of squares for so many processor seconds, the rate falling to 0 as a cosine."""
    terms = problem.terms(setting.points(problem, seed, 0))
    optimizer = torch.optim.Adam(net.parameters(), lr=ADAM_RATE)
    clock, steps = Clock(), 0
    loss = torch.tensor(math.inf)
    while (spent := clock.read()["cpu_seconds"] / seconds) < 1:
        optimizer.param_groups[0]["lr"] = ADAM_RATE * (1 + math.cos(math.pi * spent)) / 2
        optimizer.zero_grad()
        parts = [(term[2] if len(term) > 2 else 1.0) * term[0](net, term[1]).square().mean() for term in terms]
        loss = torch.stack(parts).sum()
        loss.backward()
        optimizer.step()
        steps += 1
    return {"residual": float(loss.detach().sqrt()), "iterations": steps, "stopped": "time", **clock.read()}


def shape(problem: Problem, net: nn.Module, built_in: bool) -> Callable[[Tensor], Tensor]:
    """Return u: the network with the problem's symmetry, or the form that holds the border too."""
    return (problem.built_in if built_in else problem.symmetry)(net)


def count(net: nn.Module) -> int:
    """Return how many parameters a network has."""
    return sum(p.numel() for p in net.parameters())


def run(problem: Problem, method: str, seed: int, seconds: float, python: str | None) -> dict[str, Any]:
    """Run one case; `seconds` is the processor time of those that are given one."""
    setting = SETTINGS[problem.name]
    if method == "pykan":
        script = Path(__file__).parent / "_pde_pykan.py"
        command = [str(python), str(script), problem.name, str(seed), json.dumps(setting.pykan), str(seconds)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        lines = done.stdout.strip().splitlines()
        return json.loads(lines[-1]) if not done.returncode and lines else {"failed": done.stderr[-300:]}
    generator = torch.Generator().manual_seed(seed)
    built_in = method == "KAN, border built in"
    kan = setting.kan(generator)
    net = kan if method.startswith("KAN") else setting.mlp(count(kan), generator)
    if method == "MLP, Adam":
        row = adam(problem, net, setting, seed, seconds)
    else:
        chosen = setting if method.startswith("KAN") else setting.for_mlp()
        row = second_order(problem, net, chosen, seed, built_in=built_in)
    WEIGHTS.mkdir(parents=True, exist_ok=True)
    torch.save(net.state_dict(), WEIGHTS / f"{problem.name}-{method.replace(', ', '-').replace(' ', '-')}-{seed}.pt")
    u = shape(problem, net, built_in)
    row = {"error": problem.error(u), "parameters": count(net), **row}
    if method == "KAN" and seed == 0:
        row["picture"] = picture(problem, u)
    return row


def picture(problem: Problem, u: Callable[[Tensor], Tensor]) -> str:
    """Draw the solution and the error; return the file's name."""
    from _pde_pictures import draw

    return draw(problem, u).name


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pykan", metavar="PYTHON", help="an interpreter that has pykan 0.2.8")
    parser.add_argument("--problems", default=",".join(PROBLEMS))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    rows = [json.loads(line) for line in options.out.read_text().splitlines()] if options.out.exists() else []
    if not rows:
        options.out.write_text(json.dumps({"machine": machine()}) + "\n")
    done = {(row["problem"], row["method"], row["seed"]): row for row in rows if "problem" in row}
    methods = ("KAN", "KAN, border built in", "MLP", "MLP, Adam", *(["pykan"] if options.pykan else []))
    for name in options.problems.split(","):
        for seed in map(int, options.seeds.split(",")):
            for method in methods:
                if (name, method, seed) in done:
                    continue
                seconds = done[name, "KAN", seed]["cpu_seconds"] if method != "KAN" else 0.0
                row = {"problem": name, "method": method, "seed": seed}
                row |= run(PROBLEMS[name], method, seed, seconds, options.pykan)
                done[name, method, seed] = row
                with options.out.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                keys = ("problem", "method", "seed", "error", "seconds", "cpu_seconds", "stopped", "failed")
                sys.stdout.write(str({key: row.get(key) for key in keys}) + "\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
