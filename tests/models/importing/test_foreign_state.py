"""Names of a foreign file in messages."""

from __future__ import annotations

import pytest

from fasterkan.models.importing.foreign_state import _few


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], "none"),
        (["b", "a"], "a, b"),
        (["d", "c", "b", "a"], "a, b, c, d"),
        (["e", "d", "c", "b", "a"], "a, b, c, d and 1 more"),
        ([f"n{i}" for i in range(9)], "n0, n1, n2, n3 and 5 more"),
    ],
    ids=["none", "two", "four", "five", "nine"],
)
def test_the_first_four_names_and_how_many_more(names: list[str], expected: str) -> None:
    assert _few(names) == expected
