"""The tables of studies/pde.py: a KAN, MLPs and pykan on three boundary value problems."""

from __future__ import annotations

import math
import statistics
from typing import Any

from _markdown import read_study, table, where

LABELS = {
    "KAN": "KAN, second order",
    "KAN, border built in": "the same, boundary built in",
    "MLP": "MLP, second order",
    "MLP, Adam": "MLP, Adam",
    "pykan": "pykan, its L-BFGS",
    "pykan, 20 steps": "the same, the tutorial's 20 steps",
}
TARGET, TARGET_SECONDS = 2e-5, 20


def rows_of(problem: str) -> dict[str, list[dict[str, Any]]]:
    """Return the finished rows of a problem by method; pykan's state after the tutorial's steps is one more."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in read_study("pde")[1]:
        if row["problem"] != problem or "failed" in row:
            continue
        found.setdefault(row["method"], []).append(row)
        if row.get("tutorial"):
            found.setdefault("pykan, 20 steps", []).append({**row, "seconds": None, **row["tutorial"]})
    return {method: found[method] for method in LABELS if method in found}


def pde(problem: str) -> str:
    """A line for each method: sizes, errors of all seeds, processor seconds, why it stopped."""
    machine = read_study("pde")[0]
    found = rows_of(problem)
    seeds = list(dict.fromkeys(row["seed"] for rows in found.values() for row in rows))
    body = []
    for method, rows in found.items():
        errors = {row["seed"]: row["error"] for row in rows}
        walls = [row["seconds"] for row in rows]
        ends = ["20 steps"] if method == "pykan, 20 steps" else sorted({row["stopped"] for row in rows})
        body.append(
            [
                LABELS[method],
                str(rows[0]["parameters"]),
                *(f"{errors[s]:.1e}" if math.isfinite(errors.get(s, math.nan)) else "diverged" for s in seeds),
                f"{statistics.median(row['cpu_seconds'] for row in rows):.1f}",
                "" if None in walls else f"{max(walls):.1f}",
                ", ".join(ends),
            ]
        )
    head = ["", "parameters", *(f"seed {seed}" for seed in seeds)]
    head += ["processor seconds, median", "seconds, slowest", "stopped by"]
    note = "Relative L2 error on 257 x 257 points."
    return table(head, body, f"{note} {where(machine, 'OMP_NUM_THREADS=1 python studies/pde.py --pykan PYTHON')}")


def answer() -> str:
    """Say if Poisson meets what was asked of it, and who has the smallest median error of each problem."""
    kan = rows_of("poisson")["KAN"]
    good = sum(row["error"] <= TARGET and row["seconds"] <= TARGET_SECONDS for row in kan)
    text = (
        f"On Poisson's equation, a KAN [2, 2, 1] reaches a relative error of at most {TARGET:.0e} within "
        f"{TARGET_SECONDS} s on one core with {good} of {len(kan)} seeds. Its largest error is "
        f"{max(row['error'] for row in kan):.1e}, and its slowest fit takes {max(row['seconds'] for row in kan):.1f} s."
    )
    for problem in ("poisson", "helmholtz", "burgers"):
        errors = {
            method: statistics.median(math.inf if math.isnan(row["error"]) else row["error"] for row in rows)
            for method, rows in rows_of(problem).items()
        }  # fmt: skip
        order = sorted(errors, key=lambda method: errors[method])
        best, second = order[0], next(method for method in order if method.split(",")[0] != order[0].split(",")[0])
        text += (
            f" {problem.capitalize()}: {best} has the smallest median error ({errors[best]:.1e}). The next is {second} "
            f"({errors[second]:.1e})."
        )
    return text.replace("border", "boundary") + "\n"  # the results file says border, the page says boundary
