"""Runs that fasterkan 0.1.0 wrote: a finished one is read, a stopped one goes on."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
import torch

from fasterkan.train import RunFolder, TrainConfig, evaluate, run

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(autouse=True)
def images(corners, monkeypatch):
    """The data set that both runs were made with; it does not follow the tests' seed."""
    parts = tuple(corners(seed=seed, fixed=True) for seed in range(3))
    monkeypatch.setattr("fasterkan.train.runs.train_validation_test", lambda name, root, **options: parts)
    return parts


def unpacked(name: str, folder: Path) -> Path:
    with zipfile.ZipFile(GOLDEN / f"{name}.zip") as archive:
        archive.extractall(folder / name)
    return folder / name


def test_a_finished_run_is_read_and_evaluates_as_it_did(tmp_path, images):
    place = RunFolder(unpacked("finished", tmp_path))
    result = place.load_result()
    assert json.loads((place.model / "config.json").read_text())["format"] == 1
    assert evaluate(place.load_model(), images[2]).accuracy == pytest.approx(result["test_accuracy"], abs=0.011)
    config = place.load_config()
    assert (config.model, config.layers, config.num_grids, config.lr) == ("fasterkan", (64, 8, 4), 4, 1e-2)


@pytest.mark.filterwarnings("ignore")
def test_a_stopped_run_goes_on_to_where_the_other_one_went(tmp_path):
    stopped, finished = (RunFolder(unpacked(name, tmp_path)) for name in ("stopped", "finished"))
    config = TrainConfig.from_dict(json.loads((stopped.path / "config.json").read_text()))
    outcome = run(config, stopped.path, resume=True)
    assert outcome.resumed_from == (8,) and len(outcome.training.epochs) == 3
    mine, theirs = (place.load_model().state_dict() for place in (stopped, finished))
    for name, tensor in theirs.items():
        torch.testing.assert_close(mine[name], tensor, rtol=1e-3, atol=1e-4, msg=name)
