"""Every figure in README and docs comes from a results file, or is listed in figures.json with the reason why not."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
GENERATED = re.compile(r"<!-- table: .*?<!-- end -->", re.DOTALL)
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
FIGURE = re.compile(
    r"(?<![\w.,-])\d[\d,]*(?:\.\d+)?\s?(?:%|(?:ms|µs|s|MiB|GiB|GB|MB|it/s|points|seconds|minutes|times as|hours)\b)"
)


def figures(text: str) -> list[str]:
    """Measurements in a page's prose: numbers with a unit of time, memory, share or speed, none of tables and code."""
    return FIGURE.findall(CODE.sub("", GENERATED.sub("", text)))


def listed() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads((Path(__file__).parent / "figures.json").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_figures_are_generated_or_explained(page: Path) -> None:
    allowed = listed().get(page.name, {})
    unknown = sorted(set(figures(page.read_text(encoding="utf-8"))) - set(allowed))
    assert unknown == [], f"{page.name}: make these part of a table of benchmarks/tables.py, or explain: {unknown}"


def test_nothing_is_listed_in_vain() -> None:
    found = {page.name: set(figures(page.read_text(encoding="utf-8"))) for page in PAGES}
    assert {page: sorted(set(names) - found.get(page, set())) for page, names in listed().items()} == {
        page: [] for page in listed()
    }


def test_the_scan_sees_figures_in_prose_alone() -> None:
    text = "It took 3.5 s, 12 % less.\n<!-- table: x -->\n| 9 ms |\n<!-- end -->\n`7 MiB`\n```\n8 %\n```\n32 x 32, K 8"
    assert figures(text) == ["3.5 s", "12 %"]
