"""The mutation tests: which places are changed, that the sample repeats, how a mutant is judged, what is told of it."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("cosmic_ray")

ROOT = Path(__file__).parents[1]
MODULE = '''
def larger(a: int | None, b: int | None = None) -> int | None:
    """The larger number; "ß" shifts the bytes of an annotation's place: x: int | None."""
    found: int | None = a  # ß
    if b is not None and b > a:
        found = b
    return found
'''
TESTS = {
    "test_larger.py": "from toy import larger\n\ndef test_it():\n    assert larger(1, 2) == 2 and larger(2, 1) == 2\n",
    "test_alone.py": "from toy import larger\n\ndef test_alone():\n    assert larger(1) == 1\n",
}


@pytest.fixture(scope="module")
def script() -> Iterator[dict[str, ModuleType]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        yield {name: importlib.import_module(name) for name in ("mutants", "_mutants", "_mutants_table")}


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """A repository with one package, which has one module and two files of tests."""
    for path, text in {"src/toy.py": MODULE, **{f"tests/toy/{k}": v for k, v in TESTS.items()}}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    return tmp_path


def mutants_of(script: dict[str, ModuleType], toy: Path) -> list:
    module = script["_mutants"]
    changes = [one for place in module.changes_of(MODULE).values() for one in place]
    return [m for m in (module.make(toy, toy / "src/toy.py", *one) for one in changes) if m is not None]


def test_conditions_change_and_annotations_do_not(script: dict[str, ModuleType], toy: Path) -> None:
    made = {(m.line, m.after) for m in mutants_of(script, toy)}
    assert {line for line, _ in made} == {5}
    assert {
        "if b is None and b > a:",
        "if b is not None or b > a:",
        "if b is not None and b >= a:",
        "if not b is not None and b > a:",
    } <= {after for _, after in made}


def test_the_sample_repeats_and_grows_at_its_end(script: dict[str, ModuleType]) -> None:
    sample = script["_mutants"].sample
    few, more = sample(ROOT, "ops", 3, 0), sample(ROOT, "ops", 6, 0)
    assert more[:3] == few and len({m.key for m in more}) == 6
    assert sample(ROOT, "ops", 3, 1) != few
    assert all(m.before in "\n".join(map(str.strip, (ROOT / m.file).read_text().splitlines())) for m in more)


def test_tests_of_the_same_name_come_first(script: dict[str, ModuleType]) -> None:
    tests = sorted((ROOT / "tests" / "ops").glob("test_*.py"))
    found = script["_mutants"].ordered(ROOT, "src/fasterkan/ops/product.py", tests)
    assert found[0].name == "test_product.py" and sorted(found) == tests


def test_a_mutant_is_found_again_after_other_lines_moved_it(script: dict[str, ModuleType], toy: Path) -> None:
    (mutant,) = [m for m in mutants_of(script, toy) if m.after == "if b is not None and b >= a:"]
    row = {"file": mutant.file, "line": 5, "operator": mutant.operator, "before": mutant.before, "after": mutant.after}
    path = toy / "src/toy.py"
    path.write_text("A = 3 > 2\n" + MODULE, encoding="utf-8")
    assert script["_mutants"].find(toy, row).line == 6
    path.write_text(MODULE.replace("b > a", "a < b"), encoding="utf-8")
    assert script["_mutants"].find(toy, row) is None


@pytest.mark.parametrize(
    ("after", "outcome", "killed_by"),
    [
        ("if b is not None and b < a:", "killed", "tests/toy/test_larger.py::test_it"),
        ("if b is None and b > a:", "killed", "tests/toy/test_larger.py::test_it"),
        ("if b is not None and b >= a:", "survived", None),
    ],
    ids=["comparison", "condition", "survivor"],
)
def test_outcomes(script: dict[str, ModuleType], toy: Path, after: str, outcome: str, killed_by: str | None) -> None:
    (mutant,) = [m for m in mutants_of(script, toy) if m.after == after]
    row = script["mutants"].outcome(toy, "toy", mutant, timeout=100)
    assert (row["outcome"], row["killed_by"]) == (outcome, killed_by)
    assert (toy / "src/toy.py").read_text(encoding="utf-8") == MODULE


def test_a_test_without_end_is_noticed(script: dict[str, ModuleType], toy: Path) -> None:
    (toy / "tests/toy/test_alone.py").write_text("import time\n\ndef test_sleep():\n    time.sleep(60)\n")
    (mutant,) = [m for m in mutants_of(script, toy) if m.after == "if b is not None and b >= a:"]
    assert script["mutants"].outcome(toy, "toy", mutant, timeout=5)["outcome"] == "time-out"


def test_a_session_goes_on_and_another_seed_begins_anew(
    script: dict[str, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script["mutants"], "ROOT", tmp_path)
    path, row = tmp_path / "s.jsonl", {"file": "a.py", "line": 3, "before": "a", "after": "b"}
    script["mutants"].Session(path, 0).add(row)
    assert list(script["mutants"].Session(path, 0).rows.values()) == [row]
    assert script["mutants"].Session(path, 1).rows == {}


def test_the_table_counts_what_is_argued_as_equivalent(
    script: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    def row(outcome: str, line: int, package: str = "ops") -> dict:
        where = {"package": package, "file": f"src/fasterkan/{package}/a.py", "line": line}
        return {**where, "before": f"a{line}", "after": f"b{line}", "outcome": outcome}

    rows = [
        row("killed", 1),
        row("time-out", 2),
        row("survived", 3),
        row("survived", 4),
        row("gone", 5),
        row("killed", 6, "nn"),
    ]
    machine = {"cpu": "C", "vector": "V", "threads": 1, "torch": "2"}
    module = script["_mutants_table"]
    monkeypatch.setattr(module, "read", lambda name: (machine, rows))
    monkeypatch.setattr(module, "equivalent", lambda: {("src/fasterkan/ops/a.py", "a4", "b4"): "it is so"})
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in module.mutants().splitlines()[2:5]]
    assert cells == [
        ["`ops`", "4", "1", "1", "1", "1", "67 %"],
        ["`nn`", "1", "1", "0", "0", "0", "100 %"],
        ["all", "5", "2", "1", "1", "1", "75 %"],
    ]
    assert module.survivors() == "- ops/a.py, line 3: `a3` became `b3`\n"


def test_every_argument_is_about_a_line_of_today(script: dict[str, ModuleType]) -> None:
    for (file, line, becomes), why in script["_mutants_table"].equivalent().items():
        lines = [one.strip() for one in (ROOT / file).read_text(encoding="utf-8").splitlines()]
        assert line.splitlines()[0] in lines, f"mutants_equivalent.toml: {file} has no line {line!r} any more"
        assert line != becomes and len(why.split()) > 3


def test_results_are_of_the_packages_under_test(script: dict[str, ModuleType]) -> None:
    lines = (ROOT / "benchmarks" / "results" / "mutants.jsonl").read_text().splitlines()
    for row in map(json.loads, lines[1:]):
        assert row["package"] in script["mutants"].PACKAGES
        assert row["file"].startswith(f"src/fasterkan/{row['package']}/")
