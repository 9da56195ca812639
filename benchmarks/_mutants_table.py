"""The tables of the mutation tests."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from _markdown import ROOT, read, table, where

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

OUTCOMES = ("killed", "time-out", "survived")
EQUIVALENT = ROOT / "tests" / "mutants_equivalent.toml"


def equivalent() -> dict[tuple[str, str, str], str]:
    """Return why mutants do what the code does, by file, line and what becomes of it."""
    found = tomllib.loads(EQUIVALENT.read_text(encoding="utf-8")).get("mutant", [])
    return {(one["file"], one["line"].strip(), one["becomes"].strip()): one["why"] for one in found}


def judged(rows: Sequence[dict[str, Any]], argued: dict[tuple[str, str, str], str]) -> list[dict[str, Any]]:
    """Rows whose mutant still exists, "equivalent" in place of "survived" where that is argued."""
    return [
        {**row, "outcome": "equivalent"}
        if row["outcome"] == "survived" and (row["file"], row["before"], row["after"]) in argued
        else row
        for row in rows
        if row["outcome"] != "gone"
    ]


def mutants() -> str:
    """How many mutants of each package the tests notice."""
    machine, rows = read("mutants")
    rows = judged(rows, equivalent())
    body = []
    for package in [*dict.fromkeys(row["package"] for row in rows), "all"]:
        outcomes = [row["outcome"] for row in rows if package in (row["package"], "all")]
        number = {name: outcomes.count(name) for name in ("killed", "time-out", "survived", "equivalent")}
        real = len(outcomes) - number["equivalent"]
        share = f"{100 * (real - number['survived']) / real:.0f} %" if real else ""
        body.append(
            [f"`{package}`" if package != "all" else package, str(len(outcomes)), *map(str, number.values()), share]
        )
    head = ["package", "mutants", "killed", "killed by the time-out", "survived", "equivalent", "noticed"]
    return table(head, body, where(machine, "make mutants"))


def survivors() -> str:
    """Every mutant that no test notices."""
    left = [row for row in judged(read("mutants")[1], equivalent()) if row["outcome"] == "survived"]
    lines = [f"- {row['file'].removeprefix('src/fasterkan/')}, line {row['line']}: {change(row)}" for row in left]
    return "\n".join(lines or ["None."]) + "\n"


def change(row: dict[str, Any]) -> str:
    """What was changed, in one line."""
    before, after = (" / ".join(row[name].splitlines()).replace("`", "'") for name in ("before", "after"))
    return f"`{before}` became `{after}`" if after else f"`{before}` went"
