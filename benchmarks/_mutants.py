"""The small changes that Cosmic Ray's operators make of a file, a sample of them, and the tests to try first."""

from __future__ import annotations

import ast
import dataclasses
import difflib
import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names
from cosmic_ray.util import read_python_source

Place = tuple[tuple[int, int], tuple[int, int]]
"""(line, column) where something starts and where it ends."""


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One change of one file."""

    file: str
    """From the root of the repository, with slashes."""
    operator: str
    occurrence: int
    """Which of the operator's changes of this file it is."""
    line: int
    before: str
    """The changed lines as they are."""
    after: str
    """What becomes of them."""

    @property
    def key(self) -> tuple[str, int, str, str]:
        """What tells it from the others."""
        return self.file, self.line, self.before, self.after


def sample(root: Path, package: str, count: int, seed: int) -> list[Mutant]:
    """Return mutants of a package: `count` places by the seed, fewer if it has fewer, and one change of each."""
    draw, found = random.Random(f"{seed} {package}"), []
    places = []
    for path in sorted((root / "src" / "fasterkan" / package).rglob("*.py")):
        places += [(path, changes) for _, changes in sorted(changes_of(read_python_source(path)).items())]
    draw.shuffle(places)
    for path, changes in places:
        if len(found) == count:
            break
        for operator, occurrence in draw.sample(changes, len(changes)):
            mutant = make(root, path, operator, occurrence)
            if mutant is not None:
                found.append(mutant)
                break
    return found


def find(root: Path, row: dict[str, Any]) -> Mutant | None:
    """Return the mutant of a results' row in the code of today; None if the line is no more."""
    path = root / row["file"]
    if not path.exists() or row["before"].splitlines()[0] not in path.read_text(encoding="utf-8"):
        return None
    changes = [change for place in changes_of(read_python_source(path)).values() for change in place]
    made = [make(root, path, *change) for change in changes if change[0] == row["operator"]]
    same = [one for one in made if one is not None and (one.before, one.after) == (row["before"], row["after"])]
    return min(same, key=lambda one: abs(one.line - row["line"]), default=None)


def changes_of(source: str) -> dict[Place, list[tuple[str, int]]]:
    """Return by place what operators can change there: (operator, occurrence).

    Annotations are left out: they are never run.
    """
    tree, unseen = get_ast(source), list(annotations(source))
    found: dict[Place, list[tuple[str, int]]] = {}
    for name in operator_names():
        if get_operator(name).arguments():
            continue
        operator = get_operator(name)()
        places = (place for node in ast_nodes(tree) for place in operator.mutation_positions(node))
        for occurrence, (start, end) in enumerate(places):
            if not any(first <= start and end <= last for first, last in unseen):
                found.setdefault((start, end), []).append((name, occurrence))
    return found


def annotations(source: str) -> Iterator[Place]:
    """Where the annotations of a module stand."""
    lines = source.splitlines()

    def place(line: int, offset: int) -> tuple[int, int]:
        return line, len(lines[line - 1].encode()[:offset].decode())  # ast counts bytes

    for node in ast.walk(ast.parse(source)):
        for name in ("annotation", "returns"):
            found = getattr(node, name, None)
            if found is not None:
                yield place(found.lineno, found.col_offset), place(found.end_lineno, found.end_col_offset)


def make(root: Path, path: Path, operator: str, occurrence: int) -> Mutant | None:
    """Return a change of a file; None if what comes out is no Python, or the same program."""
    source = read_python_source(path)
    code = mutate_code(source, get_operator(operator)(), occurrence)
    try:
        if code is None or ast.dump(ast.parse(code)) == ast.dump(ast.parse(source)):
            return None
        compile(code, str(path), "exec")
    except SyntaxError:
        return None
    old, new = source.splitlines(), code.splitlines()
    parts = [p for p in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes() if p[0] != "equal"]
    (_, first, _, first_new, _), (_, _, last, _, last_new) = parts[0], parts[-1]
    before, after = (
        "\n".join(line.strip() for line in lines).strip() for lines in (old[first:last], new[first_new:last_new])
    )
    return Mutant(path.relative_to(root).as_posix(), operator, occurrence, first + 1, before, after)


def ordered(root: Path, file: str, tests: Sequence[Path]) -> list[Path]:
    """Return test files, those first that are named like a module or speak most of what it defines."""
    tree = ast.parse((root / file).read_text(encoding="utf-8"))
    stem = Path(file).stem.strip("_")
    names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    words = re.compile(rf"\b({'|'.join(sorted({stem, *(n for n in names if not n.startswith('__'))}))})\b")

    def relation(path: Path) -> tuple[bool, int, Path]:
        return stem not in path.stem, -len(words.findall(path.read_text(encoding="utf-8"))), path

    return sorted(tests, key=relation)
