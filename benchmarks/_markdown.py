"""Results files and Markdown tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
STUDIES = ROOT / "studies" / "results"


def read(name: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the machine and the rows of `results/NAME.jsonl`."""
    first, *rows = (json.loads(line) for line in (RESULTS / f"{name}.jsonl").read_text().splitlines())
    return first["machine"], rows


def read_study(name: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the machine and the rows of `studies/results/NAME.jsonl`."""
    first, *rows = (json.loads(line) for line in (STUDIES / f"{name}.jsonl").read_text().splitlines())
    return first["machine"], rows


def table(head: list[str], body: list[list[str]], note: str) -> str:
    """Return a Markdown table with a line about where it comes from."""
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + f"\n\n{note}\n"


def where(machine: dict[str, Any], command: str) -> str:
    """Say on what and with which command the figures were made."""
    return (
        f"{machine['cpu']} ({machine['vector']}), {machine['threads']} threads, PyTorch {machine['torch']}; `{command}`"
    )
