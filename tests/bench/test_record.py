"""The results file: written by cell, gone on with, refused where it does not belong."""

from __future__ import annotations

import json

import pytest

from fasterkan.bench import Record, RecordError

MACHINE = {"cpu": "A", "cores": 2, "threads": 2, "device": "cpu", "torch": "2.13.0", "commit": "abc"}


def test_cells_come_back(tmp_path):
    path = tmp_path / "deep" / "r.jsonl"
    record = Record(path, MACHINE)
    record.put("t", "f", [{"subject": "a", "x": 1}, {"subject": "b"}])
    record.put("t", "g", [{"subject": "a"}])
    again = Record(path, {**MACHINE, "commit": "def"})
    assert again.rows == record.rows and again.rows[0] == {"task": "t", "family": "f", "subject": "a", "x": 1}
    assert again.has("t", "f", ["a", "b"]) and again.has("t", "f", ["a"])
    assert not again.has("t", "f", ["a", "c"]) and not again.has("u", "f", ["a"])
    assert json.loads(path.read_text().splitlines()[0]) == {"machine": MACHINE}


def test_a_cell_is_replaced(tmp_path):
    record = Record(tmp_path / "r.jsonl", MACHINE)
    for value in (1, 2):
        record.put("t", "f", [{"subject": "a", "x": value}])
    assert [row["x"] for row in Record(record.path, MACHINE).rows] == [2]


def test_another_machine_is_refused(tmp_path):
    Record(tmp_path / "r.jsonl", MACHINE).put("t", "f", [{"subject": "a"}])
    with pytest.raises(RecordError, match=r"threads 2, now 4.*give another --out"):
        Record(tmp_path / "r.jsonl", {**MACHINE, "threads": 4})


@pytest.mark.parametrize("text", ["", "{}\n", "no json", '[1]\n{"a": 2}'])
def test_other_files_are_refused(tmp_path, text):
    path = tmp_path / "r.jsonl"
    path.write_text(text)
    with pytest.raises(RecordError, match="is not a results file of `fasterkan bench`"):
        Record(path, MACHINE)
    assert path.read_text() == text
