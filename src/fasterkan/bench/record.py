"""Results as JSON lines: first the machine, then one line for each subject of each cell."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_SAME = ("cpu", "cores", "threads", "device", "torch")
"""Properties that must be equal in two runs that share a file."""


class RecordError(ValueError):
    """A results file comes from another machine, or it is not a results file."""


class Record:
    """The results file of a run.

    Args:
        path: the file. It is read if it exists, and otherwise made with the first cell.
        machine: description of this machine. It is compared with the one in the file.

    Raises:
        RecordError: the file was made on another machine or with other versions, or it is not a results file.
    """

    def __init__(self, path: str | Path, machine: Mapping[str, Any]) -> None:
        self.path, self.machine = Path(path), dict(machine)
        self.rows: list[dict[str, Any]] = []
        if not self.path.exists():
            return
        try:
            first, *self.rows = (json.loads(line) for line in self.path.read_text(encoding="utf-8").splitlines())
            before = first["machine"]
        except (ValueError, KeyError, TypeError) as error:
            raise RecordError(f"{self.path} is not a results file of `fasterkan bench`; give another --out") from error
        if other := [name for name in _SAME if before.get(name) != self.machine.get(name)]:
            told = ", ".join(f"{name} {before.get(name)!r}, now {self.machine.get(name)!r}" for name in other)
            raise RecordError(f"{self.path} was started under other conditions ({told}); give another --out")

    def has(self, task: str, family: str, subjects: Sequence[str]) -> bool:
        """Whether a cell contains all of these subjects."""
        here = {row["subject"] for row in self.rows if (row["task"], row["family"]) == (task, family)}
        return set(subjects) <= here

    def put(self, task: str, family: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write a cell; it replaces an earlier result of the same cell."""
        others = [row for row in self.rows if (row["task"], row["family"]) != (task, family)]
        self.rows = others + [{"task": task, "family": family, **row} for row in rows]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = "".join(json.dumps(line) + "\n" for line in ({"machine": self.machine}, *self.rows))
        part = self.path.with_name(self.path.name + ".part")
        part.write_text(text, encoding="utf-8")
        part.replace(self.path)
