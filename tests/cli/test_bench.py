"""`fasterkan bench --list`."""

from __future__ import annotations

from fasterkan.bench import FAMILIES, PEERS, TASKS


def test_the_list_has_whole_names_and_commands(call, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = [line.strip() for line in call("bench", "--list").out.splitlines()]
    assert [name for name in (*TASKS, *FAMILIES) if name not in lines] == []
    peers = [peer for family in FAMILIES.values() for peer in family.peers]
    assert [peer for peer in peers if f"{peer}: {PEERS[peer].how}" not in lines] == []


def test_the_list_of_one_family(call):
    said = call("bench", "--list", "--family", "FastKAN").out
    assert "  FastKAN\n    fk.FastKAN\n    fast-kan: git clone " in said
    assert "pykan" not in said
