"""Names of a foreign file in messages, and whole numbers in it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fasterkan import CheckpointError
from fasterkan.models.importing.foreign_state import ForeignState, _few

from .checkpoints import write


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


def test_counts_are_whole_numbers_from_0(tmp_path: Path) -> None:
    counts = {"new": torch.tensor(0), "old": torch.tensor(7), "wrong": torch.tensor(-1)}
    file = ForeignState(write(tmp_path / "a.pt", counts), "faster-kan", "FasterKANvolver")
    assert (file.take_count("new").item(), file.take_count("old").item()) == (0, 7)
    with pytest.raises(CheckpointError, match=r"wrong is torch.int64 \(\), expected a whole number"):
        file.take_count("wrong")
