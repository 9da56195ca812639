"""A network that was fitted to a table, as a folder: what its columns mean, and where the table lies."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor

from .._files import sha256_of
from .._version import __version__
from ..fitting.losses import LossName
from ..models.pretrained import CONFIG, WEIGHTS
from ..train import RunFolderError
from .columns import Column
from .table import TextTable, read_text

FIT, FORMAT = "fit.json", 1
MOST_SEED = 2**32 - 1
PARTS = {
    CONFIG, WEIGHTS, FIT, "report.txt", "report.json", "predictions.csv",
    *(f"{name}.{kind}" for name in ("network", "importance", "training") for kind in ("png", "svg")),
}  # fmt: skip
"""The files that a fit, or a prune of one, leaves."""


@dataclasses.dataclass(frozen=True)
class Encoded:
    """The rows of a table that a network can take."""

    x: Tensor
    """[N, I], float64."""
    y: Tensor
    """[N, O], float64; O = 0 where targets were not asked for."""
    rows: list[int]
    """Numbers of these rows in the table, from 0."""
    problems: dict[int, str]
    """Of the other rows."""
    missing: Counter[str]
    """How many values are missing, by column."""
    missing_words: tuple[str, ...]
    """Texts that were taken for missing values, in alphabetical order."""
    lines: list[int]
    """Of the rows, in the file."""

    def part(self, index: Tensor) -> Encoded:
        """Return some of the rows."""
        rows, lines = ([numbers[i] for i in index.tolist()] for numbers in (self.rows, self.lines))
        return dataclasses.replace(self, x=self.x[index], y=self.y[index], rows=rows, lines=lines)


@dataclasses.dataclass(frozen=True)
class Fitted:
    """What `fit.json` says."""

    data: Path
    test: Path | None
    """A table apart for the test."""
    test_share: float
    """Of the rows of `data` that are held back for the test, if there is no table apart."""
    seed: int
    loss: str
    inputs: tuple[Column, ...]
    targets: tuple[Column, ...]
    result: dict[str, Any]
    """Errors and why the fit stopped."""
    delta: float | None = None
    """Of the Huber loss with one target, in its units."""
    sparsity: float = 0.0

    @property
    def input_names(self) -> list[str]:
        """Names of the network's inputs."""
        return [part for column in self.inputs for part in column.parts]

    @property
    def output_names(self) -> list[str]:
        """Names of the network's outputs."""
        return [part for column in self.targets for part in column.parts]

    @property
    def labels(self) -> tuple[str, ...] | None:
        """What is told apart, None for numbers."""
        return self.targets[0].words

    def encode(self, table: TextTable, *, targets: bool = True) -> Encoded:
        """Return the rows of a table as numbers, and what is wrong with the others."""
        inputs, outputs = ([table.column(c.name) for c in cs] for cs in (self.inputs, self.targets if targets else ()))
        columns = [*self.inputs, *(self.targets if targets else ())]
        x: list[list[float]] = []
        y: list[list[float]] = []
        rows: list[int] = []
        problems: dict[int, str] = {}
        missing = Counter[str]()
        words = set[str]()
        for number in range(len(table.rows)):
            found: list[list[float]] = []
            for column, fields in zip(columns, [*inputs, *outputs], strict=True):
                values = column.encode(table, fields[number])
                if isinstance(values, str):
                    if values == "missing":
                        missing[column.name] += 1
                        words.add(fields[number])
                    problems.setdefault(number, f"{column.name}: {values}")
                else:
                    found.append(values)
            if number not in problems:
                rows.append(number)
                x.append([v for values in found[: len(self.inputs)] for v in values])
                y.append([v for values in found[len(self.inputs) :] for v in values])
        width = len(self.output_names) if targets else 0
        return Encoded(
            torch.tensor(x, dtype=torch.float64, device="cpu").reshape(len(rows), len(self.input_names)),
            torch.tensor(y, dtype=torch.float64, device="cpu").reshape(len(rows), width),
            rows,
            problems,
            missing,
            tuple(sorted(words - {""})),
            [table.lines[number] for number in rows],
        )

    def split(self, found: Encoded) -> tuple[Encoded, Encoded]:
        """Return the rows to fit and those for the test, drawn by the seed."""
        count = 0 if self.test is not None else round(self.test_share * len(found.rows))
        order = torch.randperm(len(found.rows), generator=torch.Generator("cpu").manual_seed(self.seed), device="cpu")
        return found.part(order[count:].sort().values), found.part(order[:count].sort().values)

    def load(self) -> tuple[Encoded, Encoded]:
        """Return the rows that were fitted and those of the test, from the files they were in.

        Raises:
            RunFolderError: the table is not where it was, or has other rows now.
        """
        if not self.data.is_file():
            raise RunFolderError(f"{self.data}, which the network was fitted to, is gone; name the table with --table")
        kept, test = self.split(self.encode(read_text(self.data)))
        if self.test is not None:
            test = self.encode(read_text(self.test))
        found = counted(kept, test)
        if found["rows"] != self.result["rows"]:
            what = f"{found['rows']} rows to fit instead of {self.result['rows']}"
        elif found["sha256"] != self.result["sha256"]:
            what = "other values in its rows" if self.test is None else f"other values in its rows, or in {self.test}"
        else:
            return kept, test
        raise RunFolderError(
            f"{self.data} has changed since the fit: {what}; name the table with --table, or fit again"
        )

    def to_json(self) -> str:
        """Return the text of `fit.json`."""
        fields = dataclasses.asdict(self)
        paths = {name: None if fields[name] is None else str(fields[name]) for name in ("data", "test")}
        return json.dumps({"format": FORMAT, "fasterkan_version": __version__, **fields, **paths}, indent=2) + "\n"


def counted(kept: Encoded, test: Encoded) -> dict[str, Any]:
    """Return what `fit.json` says of the rows that were fitted and those of the test: how many, and a checksum."""
    numbers = b"".join(part.contiguous().numpy().tobytes() for each in (kept, test) for part in (each.x, each.y))
    return {"rows": len(kept.rows), "test_rows": len(test.rows), "sha256": sha256_of(numbers)}


def is_fitted(folder: Path) -> bool:
    """Whether a folder holds a network that was fitted to a table."""
    return (folder / FIT).is_file()


def load_fitted(folder: Path) -> Fitted:
    """Return what `fit.json` of a folder says.

    Raises:
        RunFolderError: it is damaged, or of another version.
    """
    path = folder / FIT
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        if fields["format"] != FORMAT:
            raise RunFolderError(f"{path}: format is {fields['format']!r}, this version reads {FORMAT}; fit again")
        inputs, targets = (tuple(map(Column.from_json, fields[name])) for name in ("inputs", "targets"))
        test = None if fields["test"] is None else Path(fields["test"])
        share, seed, loss = float(fields["test_share"]), int(fields["seed"]), str(fields["loss"])
        result = dict(fields["result"])
        result |= {"rows": int(result["rows"]), "sha256": str(result["sha256"])}
        delta, sparsity = None if fields["delta"] is None else float(fields["delta"]), float(fields["sparsity"])
    except RunFolderError:
        raise
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise RunFolderError(f"{path} is damaged ({type(error).__name__}: {error}); fit again") from error
    domains = {
        "test_share": (share, 0 <= share < 1),
        "seed": (seed, 0 <= seed <= MOST_SEED),
        "loss": (loss, loss in get_args(LossName)),
        "delta": (delta, delta is None or delta > 0),
        "sparsity": (sparsity, sparsity >= 0),
        "inputs": (len(inputs), len(inputs) > 0),
        "targets": (len(targets), len(targets) > 0),
    }
    for name, (value, right) in domains.items():
        if not right:
            raise RunFolderError(f"{path} is damaged ({name} {value!r} is outside its domain); fit again")
    return Fitted(Path(fields["data"]), test, share, seed, loss, inputs, targets, result, delta, sparsity)


def check_free(folder: Path, *, overwrite: bool) -> None:
    """Refuse a folder that holds something; with `overwrite`, only if no fit left it.

    Raises:
        RunFolderError: a file, or a folder with other files.
    """
    if folder.exists() and not folder.is_dir():
        raise RunFolderError(f"{folder} is a file; give a folder with --out")
    found = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
    if found and not overwrite:
        raise RunFolderError(
            f"{folder} is not empty (it holds {', '.join(found[:5])}); choose another folder with --out, or "
            "--overwrite to replace what a fit left in it"
        )
    if strange := [name for name in found if name not in PARTS]:
        raise RunFolderError(f"{folder} holds {', '.join(strange[:5])}, which no fit wrote; nothing was replaced")
