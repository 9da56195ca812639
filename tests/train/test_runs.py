"""A run's folder: what is in it, what it refuses, what an interruption leaves."""

from __future__ import annotations

import json

import pytest
import torch

import fasterkan as fk
from fasterkan.train import (
    Observer,
    RunFolder,
    RunFolderError,
    TrainConfig,
    TrainingError,
    TrainingInterrupted,
    build_model,
    evaluate,
    run,
)

CONFIG = TrainConfig(dataset="corners", layers=(64, 8, 4), num_grids=4, lr=1e-2, batch_size=50, epochs=2, device="cpu")


@pytest.fixture(autouse=True)
def parts(corners, monkeypatch):
    """Let runs find the small data set under its name."""
    found = corners(), corners(seed=1), corners(seed=2)
    monkeypatch.setattr("fasterkan.train.runs.train_validation_test", lambda name, root, **options: found)
    return found


def test_what_a_run_leaves(tmp_path, parts):
    result = run(CONFIG, tmp_path / "a" / "run")
    folder = RunFolder(tmp_path / "a" / "run")
    assert sorted(p.name for p in folder.path.iterdir()) == ["config.json", "metrics.jsonl", "model", "result.json"]
    assert folder.load_config() == CONFIG
    for file in (folder.config, folder.result):
        second = file.read_text().splitlines()[1]
        assert len(second) - len(second.lstrip(" ")) == 2, "the files are for people too"
    lines = [json.loads(line) for line in folder.metrics.read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2]
    assert [line["validation_accuracy"] for line in lines] == [m.validation_accuracy for m in result.training.epochs]
    assert set(lines[0]) == {
        "epoch", "step", "loss", "lr", "validation_loss", "validation_accuracy", "steps_per_second", "training_seconds",
        "seconds",
    }  # fmt: skip
    written = folder.load_result()
    assert written["test_accuracy"] == result.test.accuracy == evaluate(folder.load_model(), parts[2]).accuracy
    assert written["validation_accuracy"] == evaluate(folder.load_model(), parts[1]).accuracy
    assert written["kept_epoch"] == result.training.kept.epoch
    assert written["versions"] == {
        "fasterkan": fk.__version__, "torch": torch.__version__, "python": written["versions"]["python"]
    }  # fmt: skip
    assert written["machine"]["threads"] == torch.get_num_threads()
    assert written["machine"]["device"] == "cpu"
    assert written["machine"]["cpu"]


def test_test_images_are_evaluated_once(tmp_path, parts, monkeypatch):
    seen = []

    def counted(model, data):
        seen.append(data)
        return evaluate(model, data)

    monkeypatch.setattr("fasterkan.train.runs.evaluate", counted)
    monkeypatch.setattr("fasterkan.train.loop.evaluate", counted)
    run(CONFIG, tmp_path / "run")
    assert [data is parts[2] for data in seen] == [False, False, True]


def test_the_seed_decides_the_initial_weights():
    first, again, other = (build_model(TrainConfig(layers=(64, 8, 4), seed=seed)) for seed in (1, 1, 2))
    assert torch.equal(first.layers[1].weight, again.layers[1].weight)
    assert not torch.equal(first.layers[1].weight, other.layers[1].weight)


def test_the_network_is_the_configured_one():
    config = TrainConfig(
        layers=(64, 8, 4), num_grids=5, grid_min=-2.0, grid_max=1.0, inv_denominator=2.5, exponent=3.0,
        train_grid=True, train_inv_denominator=True, norm_gain=0.5, freeze_input_norm=True,
    )  # fmt: skip
    model = build_model(config)
    expected = fk.RSWAF(
        num_grids=5, grid_range=(-2.0, 1.0), inv_denominator=2.5, exponent=3.0, train_grid=True,
        train_inv_denominator=True,
    )  # fmt: skip
    assert type(model) is fk.FasterKAN
    assert (model.layers_hidden, model.basis) == ((64, 8, 4), expected)
    assert torch.equal(model.layers[0].norm.weight, torch.full((64,), 0.5))
    frozen = [name for name, p in model.named_parameters() if not p.requires_grad]
    assert frozen == ["layers.0.norm.weight", "layers.0.norm.bias"]


def test_a_folder_with_something_in_it_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    for overwrite, message in (
        (False, f"{tmp_path} is not empty (it has notes.txt); choose another folder, or use overwrite=True"),
        (True, f"{tmp_path} has files that no run wrote (notes.txt); nothing was replaced"),
    ):
        with pytest.raises(RunFolderError) as caught:
            run(CONFIG, tmp_path, overwrite=overwrite)
        assert str(caught.value).startswith(message)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_a_file_is_refused(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(RunFolderError, match=r"run is a file; give a folder for the run$"):
        run(CONFIG, tmp_path / "run")


def test_overwrite_replaces_the_whole_run(tmp_path):
    run(CONFIG, tmp_path)
    with pytest.raises(RunFolderError, match=r"is not empty \(it has config.json, metrics.jsonl, model, result.json\)"):
        run(CONFIG, tmp_path)
    longer = TrainConfig.from_dict({**CONFIG.to_dict(), "epochs": 3})
    run(longer, tmp_path, overwrite=True)
    assert RunFolder(tmp_path).load_config() == longer
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"layers": (784, 10)},
            "layers 784,10 do not fit corners: it has 64 pixels and 4 classes, so layers must be 64,",
        ),
        ({"device": "cuda:99"}, "device 'cuda:99' cannot be used here"),
    ],
)
def test_what_cannot_work_is_refused_before_the_folder_is_touched(tmp_path, changes, message):
    run(CONFIG, tmp_path)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    with pytest.raises(ValueError) as caught:
        run(TrainConfig.from_dict({**CONFIG.to_dict(), **changes}), tmp_path, overwrite=True)
    assert str(caught.value).startswith(message)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


class StopAt(Observer):
    def __init__(self, step):
        self.at = step

    def on_step(self, step, loss):
        if step == self.at:
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("step", "left"),
    [
        (3, ["checkpoints", "config.json", "metrics.jsonl"]),
        (11, ["checkpoints", "config.json", "metrics.jsonl", "model"]),
    ],
)
def test_interruption(tmp_path, parts, step, left):
    with pytest.raises(TrainingInterrupted) as caught:
        run(CONFIG, tmp_path, [StopAt(step)])
    assert sorted(p.name for p in tmp_path.iterdir()) == left
    folder = RunFolder(tmp_path)
    assert folder.load_result() is None
    if "model" in left:
        kept = caught.value.result.kept
        assert evaluate(folder.load_model(), parts[1]).accuracy == kept.validation_accuracy


def test_failure_leaves_no_result(tmp_path):
    config = TrainConfig.from_dict(
        {**CONFIG.to_dict(), "precision": "fp16", "lr": 1e30, "optimizer": "sgd", "warmup": 0}
    )
    with pytest.raises(TrainingError):
        run(config, tmp_path)
    assert not RunFolder(tmp_path).result.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "is missing; give a folder that `fasterkan train` wrote"),
        ("{", "is not JSON: "),
        ("[]", "has a list, expected an object"),
        ('{"epoch": 1}', "TrainConfig: unknown field 'epoch'; did you mean 'epochs'?"),
        ('{"epochs": "3"}', "TrainConfig: epochs must be a whole number, got '3' (str)"),
    ],
)
def test_damaged_configuration(tmp_path, text, message):
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    with pytest.raises(RunFolderError) as caught:
        RunFolder(tmp_path).load_config()
    assert str(caught.value).startswith(str(tmp_path / "config.json"))
    assert message in str(caught.value)
