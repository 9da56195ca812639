"""Several seeds: one folder each, and what they have in common."""

from __future__ import annotations

import json
import statistics

import pytest

from fasterkan.train import RunFolder, RunFolderError, TrainConfig, run, run_seeds
from fasterkan.train.seeds import Spread, spread

CONFIG = TrainConfig(dataset="corners", layers=(64, 8, 4), num_grids=4, lr=3e-3, batch_size=50, epochs=1, device="cpu")


@pytest.fixture(autouse=True)
def parts(corners, monkeypatch):
    found = corners(), corners(seed=1), corners(seed=2)
    monkeypatch.setattr("fasterkan.train.runs.train_validation_test", lambda name, root, **options: found)


def test_runs_and_summary(tmp_path):
    places = []
    summary = run_seeds(CONFIG, [0, 3], tmp_path / "s", lambda place: places.append(place) or ())
    assert summary == json.loads((tmp_path / "s" / "summary.json").read_text())
    assert places == [tmp_path / "s" / "seed-0", tmp_path / "s" / "seed-3"]
    results = [RunFolder(place).load_result() for place in places]
    assert [RunFolder(place).load_config().seed for place in places] == [0, 3]
    assert [one["seed"] for one in summary["runs"]] == [0, 3]
    accuracies = [result["test_accuracy"] for result in results]
    assert [one["test_accuracy"] for one in summary["runs"]] == accuracies
    assert summary["test_accuracy"] == {"mean": statistics.fmean(accuracies), "sd": statistics.stdev(accuracies)}
    run(CONFIG, tmp_path / "alone")
    assert RunFolder(tmp_path / "alone").load_result()["test_loss"] == results[0]["test_loss"]


def test_spread():
    assert spread([0.5]) == Spread(0.5, None)
    assert spread([1.0, 3.0]) == Spread(2.0, 2**0.5)


@pytest.mark.parametrize("seeds", [[], [1, 2, 1]])
def test_bad_seeds(tmp_path, seeds):
    with pytest.raises(ValueError, match="seeds must be one or more different numbers, such as 0,1,2; got"):
        run_seeds(CONFIG, seeds, tmp_path / "s")


def test_nothing_is_trained_where_a_folder_is_taken(tmp_path):
    (tmp_path / "seed-1").mkdir()
    (tmp_path / "seed-1" / "notes").write_text("mine")
    with pytest.raises(RunFolderError, match="seed-1 is not empty"):
        run_seeds(CONFIG, [0, 1], tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["seed-1"]
