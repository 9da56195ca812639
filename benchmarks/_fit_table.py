"""The table of benchmarks/fit.py: fk.fit beside pykan."""

from __future__ import annotations

import statistics
from typing import Any

from _markdown import read, table, where

NETWORKS = {"product": "[2, 2, 1]", "four_variables": "[4, 4, 2, 1]"}
OTHERS = "[2, 5, 1]"
TENTH, THIRD, SPREAD = 0.1, 1 / 3, 5


def fit() -> str:
    """Medians over the seeds, a line for each function."""
    machine, rows = read("fit")
    body, good = [], [0, 0, 0]
    for name in dict.fromkeys(row["function"] for row in rows):
        ours, theirs = (
            [row for row in rows if (row["function"], row["system"]) == (name, system)]
            for system in ("fasterkan", "pykan")
        )
        error, worst = median(ours, "test_rmse"), max(row["test_rmse"] for row in ours)
        quotients = (
            error / median(theirs, "test_rmse"),
            median(ours, "seconds") / median(theirs, "seconds"),
            worst / error,
        )
        good = [n + (q <= limit) for n, q, limit in zip(good, quotients, (TENTH, THIRD, SPREAD), strict=True)]
        paper = ours[0]["paper"]
        body.append(
            [
                f"`{name}`",
                NETWORKS.get(name, OTHERS),
                f"{error:.1e}",
                f"{worst:.1e}",
                f"{median(theirs, 'test_rmse'):.1e}",
                f"{median(theirs, 'best_test_rmse'):.1e}",
                "" if paper is None else f"{paper:.1e}",
                f"{median(ours, 'seconds'):.1f} / {median(theirs, 'seconds'):.1f}",
                f"{median(ours, 'parameters'):.0f} / {median(theirs, 'parameters'):.0f}",
            ]
        )
    head = ["function", "network", "RMSE", "worst seed", "pykan's, grid 50", "its best grid", "the paper's KAN"]
    head += ["seconds, ours / pykan's", "parameters, ours / pykan's"]
    seeds = len({row["seed"] for row in rows})
    note = (
        f"Test RMSE, median of {seeds} seeds. Of {len(body)} functions, {good[0]} have at most a tenth of pykan's "
        f"error, {good[1]} take at most a third of its time, and in {good[2]} the worst seed has at most {SPREAD} "
        f"times the median error. {crashed(rows)}"
    )
    return table(head, body, note + where(machine, "OMP_NUM_THREADS=1 python benchmarks/fit.py --pykan PYTHON"))


def crashed(rows: list[dict[str, Any]]) -> str:
    """Say which runs ended with an error."""
    lost = [f"{row['system']} on `{row['function']}`, seed {row['seed']}" for row in rows if "test_rmse" not in row]
    return f"Crashed and left out: {', '.join(lost)}. " if lost else ""


def median(rows: list[dict[str, Any]], key: str) -> float:
    """Return the median of a number over the rows that have it: a run that crashed has none."""
    return statistics.median(row[key] for row in rows if key in row)


def outliers() -> str:
    """Where a seed stands out: its RMSE beside its median error."""
    _, rows = read("fit")
    ours = [row for row in rows if row["system"] == "fasterkan"]
    body = []
    for name in dict.fromkeys(row["function"] for row in ours):
        own = [row for row in ours if row["function"] == name]
        if max(row["test_rmse"] for row in own) > SPREAD * median(own, "test_rmse"):
            seeds = sorted(own, key=lambda row: row["seed"])
            body.append([f"`{name}`", *(f"{row['test_rmse']:.1e} / {row['test_median_error']:.1e}" for row in seeds)])
    return table(["RMSE / median error", *(f"seed {row['seed']}" for row in seeds)], body, "Of the 1,000 test rows.")


def in_time() -> str:
    """fk.fit with a time limit beside gradient boosting, medians over the seeds."""
    machine, rows = read("fit_in_time")
    by_processor = any(row.get("clock") == "cpu" for row in rows)
    times, option = ("cpu_seconds", " --cpu") if by_processor else ("seconds", "")
    body = []
    for count in sorted({row["rows"] for row in rows}):
        own, other = (
            [row for row in rows if (row["rows"], row["system"]) == (count, system)]
            for system in ("fasterkan", "HistGB")
        )
        used = statistics.median(row["rows_used"] for row in own)
        body.append(
            [
                f"{count:,}",
                *(f"{median(each, 'rmse'):.3f}" for each in (own, other)),
                *(f"{median(each, times):.1f}" for each in (own, other)),
                f"{used:,.0f}",
            ]
        )
    head = ["rows", "RMSE, ours", "RMSE, HistGB", "seconds, ours", "seconds, HistGB", "rows of our last phase"]
    note = (
        f"RMSE on 20,000 new rows, median of {len({row['seed'] for row in rows})} seeds; the deviation of y is "
        f"{median(rows, 'deviation'):.2f}, and .3 of it is noise. "
        + ("Seconds of processor time, which the limit counted too. " if by_processor else "")
    )
    return table(head, body, note + where(machine, f"OMP_NUM_THREADS=1 python benchmarks/fit_in_time.py{option}"))
