"""Whole runs on tiny tasks, with peers that the test makes."""

from __future__ import annotations

import dataclasses
import itertools
import math

import pytest
import torch
from torch import nn

import fasterkan as fk
from fasterkan.bench import FAMILIES, PEERS, SUITES, TASKS, Family, Observer, Peer, Subject, Task, bench, families
from fasterkan.bench.subjects import EQUAL_FLOPS, EQUAL_PARAMETERS, aligned, mlp_of_equal_flops, mlp_of_equal_parameters

TASK = Task("tiny", (6, 5, 3), 8, 8, train_steps=2)


class Watcher(Observer):
    def __init__(self):
        self.missing, self.cells, self.started = [], [], None

    def on_missing(self, reason):
        self.missing.append(reason)

    def on_start(self, cells, done):
        self.started = (cells, done)

    def on_cell(self, task, family):
        self.cells.append((task.name, family.name))


@pytest.fixture
def family(tmp_path, monkeypatch):
    """Ours beside one peer that works, one that fails and one that is missing."""
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "goodkan.py").write_text("from torch.nn import Linear\n")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "badkan.py").write_text("")

    def fail(module, widths, functions):
        raise RuntimeError("cannot be built\nmore")

    for name, build in (("good", lambda m, w, k: m.Linear(w[0], w[-1])), ("bad", fail), ("gone", fail)):
        one = Peer(name, f"{name}kan", build, f"https://example.org/{name}", folder=name)
        monkeypatch.setitem(PEERS, name, one)
    return Family("mine", (Subject("ours", lambda w, k: fk.KAN(w)),), ("good", "bad", "gone"))


def test_a_cell(tmp_path, family):
    watcher = Watcher()
    record = bench([TASK], [family], tmp_path / "r.jsonl", peers=tmp_path, seconds=0.01, threads=1, observer=watcher)
    rows = {row["subject"]: row for row in record.rows}
    assert set(rows) == {"ours", "good", "bad", EQUAL_PARAMETERS, EQUAL_FLOPS}
    assert watcher.missing == ["gone is not here: git clone https://example.org/gone PEERS/gone"]
    assert rows["bad"]["failed"] == "RuntimeError: cannot be built"
    assert rows["good"]["parameters"] == 6 * 3 + 3 and rows["good"]["forward_flops"] == 2 * 8 * 6 * 3
    assert rows["ours"]["parameters"] == sum(p.numel() for p in fk.KAN([6, 5, 3]).parameters())
    assert rows[EQUAL_PARAMETERS]["step_ratio"] == {"median": 1, "p20": 1, "p80": 1}
    assert not rows["ours"]["exactness"]["wrong"]
    for name in ("ours", "good", EQUAL_PARAMETERS):
        row = rows[name]
        assert 0 < row["step"]["p20"] <= row["step"]["median"] <= row["step"]["p80"]
        assert row["rounds"] >= 5 and row["peak_mib"] > 0 and math.isfinite(row["loss"])


def test_a_file_is_gone_on_with(tmp_path, family):
    options = {"peers": tmp_path, "seconds": 0.01, "threads": 1}
    other = Task("other", (4, 3), 5)
    bench([TASK], [family], tmp_path / "r.jsonl", **options)
    watcher = Watcher()
    record = bench([TASK, other], [family], tmp_path / "r.jsonl", **options, observer=watcher)
    assert (watcher.started, watcher.cells) == ((2, 1), [("other", "mine")])
    assert {row["task"] for row in record.rows} == {"tiny", "other"}


def test_threads_and_precision_come_back(tmp_path, family):
    before = torch.get_num_threads(), torch.get_float32_matmul_precision()
    bench([TASK], [family], tmp_path / "r.jsonl", seconds=0.01, threads=1)
    assert (torch.get_num_threads(), torch.get_float32_matmul_precision()) == before


def test_what_does_not_fit_is_not_run(tmp_path, family, monkeypatch):
    monkeypatch.setattr("fasterkan.bench.cell._EDGEWISE_LIMIT", 1.0)
    wide = Family("wide", family.ours, ("good",), edgewise=True)
    record = bench([TASK], [wide], tmp_path / "r.jsonl", peers=tmp_path, seconds=0.01, threads=1)
    row = next(row for row in record.rows if row["subject"] == "good")
    assert row["failed"].startswith("MemoryError: it stores numbers for each row and edge")


def test_a_task_for_a_device_that_is_not_here(tmp_path, family):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU; the test is about the message of one without")
    with pytest.raises(ValueError, match="device 'cuda' cannot be used here"):
        bench([TASKS["gpu-mnist"]], [family], tmp_path / "r.jsonl")
    assert not (tmp_path / "r.jsonl").exists()


@pytest.mark.parametrize("name", FAMILIES)
def test_every_configuration_of_ours_learns(name):
    for subject in FAMILIES[name].ours:
        net = subject.build((6, 5, 3), 8)
        net(torch.rand(7, 6) * 2 - 1).square().sum().backward()
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.parameters() if p.requires_grad)


def test_names():
    assert [family.name for family in families(["KAL-Net"])] == ["KAL-Net"]
    assert len(families()) == len(FAMILIES)
    with pytest.raises(ValueError, match="unknown family KALNet; known: FasterKAN, "):
        families(["KALNet"])
    assert all(name in TASKS for names in SUITES.values() for name in names)


@pytest.mark.parametrize("widths", [(784, 256, 10), (256, 256), (64, 64, 64, 10)], ids=["two", "one", "three"])
def test_the_mlp_of_equal_flops(widths):
    flops = 2 * 4 * 8 * sum(i * o for i, o in itertools.pairwise(widths))
    net = mlp_of_equal_flops(Task("t", widths, 4), flops)
    products = [m.weight for m in net.modules() if isinstance(m, nn.Linear)]
    assert (products[0].shape[1], products[-1].shape[0]) == (widths[0], widths[-1])
    assert 2 * 4 * sum(p.numel() for p in products) == pytest.approx(flops, rel=0.02)


@pytest.mark.parametrize(("width", "wanted"), [(8190, 8192), (2047, 2048), (1000, 1000), (993, 992), (61, 61), (1, 1)])
def test_aligned(width, wanted):
    assert aligned(width) == wanted


def test_the_mlp_of_equal_parameters_is_aligned():
    kan = fk.KAN([100, 100, 1])
    net = mlp_of_equal_parameters(kan)
    assert net.layers_hidden[1] % 8 == 0
    counts = [sum(p.numel() for p in m.parameters()) for m in (kan, net)]
    assert counts[1] == pytest.approx(counts[0], rel=0.011)


def test_a_task_for_single_families(tmp_path, family):
    only = dataclasses.replace(TASK, name="only", families=("mine",))
    others = dataclasses.replace(family, name="others")
    record = bench([only], [others, family], tmp_path / "r.jsonl", seconds=0.01, threads=1)
    assert {row["family"] for row in record.rows} == {"mine"}
    with pytest.raises(ValueError, match=r"nothing to measure.*\(only: mine\)"):
        bench([only], [others], tmp_path / "s.jsonl", seconds=0.01, threads=1)
    assert all(set(task.families) <= set(FAMILIES) for task in TASKS.values())


def test_growth_tasks_vary_one_size():
    growth = [task for name, task in TASKS.items() if name.startswith("growth")]
    assert {task.name for task in growth} >= {"growth-N2048", "growth-K128", "growth-I32", "growth-O1024"}
    for task in growth:
        sizes = (task.batch, *task.widths, task.functions)
        assert sum(a != b for a, b in zip(sizes, (256, 256, 256, 8), strict=True)) <= 1
