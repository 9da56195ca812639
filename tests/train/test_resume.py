"""Resuming: the same bits as a run that never stopped, whatever stopped it."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from fasterkan.train import Observer, RunFolder, RunFolderError, TrainConfig, TrainingInterrupted, evaluate, run
from fasterkan.train.checkpoint import Checkpoints

from ..seeds import seed_of

CONFIG = TrainConfig(
    dataset="corners", layers=(64, 8, 4), num_grids=4, lr=1e-2, batch_size=50, epochs=3, device="cpu", keep="last"
)
MOVES = {"shift": 1.0, "rotate": 10.0, "elastic": 1.0, "augment_off": 0.4}
CASES = {
    "adamw": {},
    "sgd-best": {"optimizer": "sgd", "lr": 0.2, "keep": "best"},
    "muon-clip": {"optimizer": "muon", "clip_grad_norm": 1.0},
    "bf16-augmented": {"precision": "bf16", **MOVES},
    "fp16-grid": {"precision": "fp16", "train_grid": True, "train_inv_denominator": True},
    "ema-parts-best": {"ema": 0.9, "accumulate": 3, "keep": "best", **MOVES},
    "patience": {"patience": 1, "lr": 1e-9, "epochs": 6, "keep": "best"},
}
TIMES = {"steps_per_second", "training_seconds", "seconds"}


@pytest.fixture(autouse=True)
def parts(corners, monkeypatch):
    found = corners(), corners(seed=1), corners(seed=2)
    monkeypatch.setattr("fasterkan.train.runs.train_validation_test", lambda name, root, **options: found)


class StopAt(Observer):
    """Ctrl-C: inside step number `step` (as a signal), after it, or after an epoch."""

    def __init__(self, step=None, epoch=None, how="raise"):
        self.step, self.epoch, self.how = step, epoch, how

    def on_step(self, step, loss):
        if step == self.step:
            self.stop()

    def on_epoch(self, metrics):
        if metrics.epoch == self.epoch:
            self.stop()

    def stop(self):
        if self.how == "raise":
            raise KeyboardInterrupt
        os.kill(os.getpid(), signal.SIGINT)


def what_is_left(folder):
    """Weights, metrics and result without times."""
    place = RunFolder(folder)
    lines = [json.loads(line) for line in place.metrics.read_text().splitlines()]
    result = place.load_result()
    accuracies = {name: value for name, value in result.items() if "accuracy" in name or "loss" in name}
    metrics = [{k: v for k, v in line.items() if k not in TIMES and k != "resumed"} for line in lines]
    return (place.model / "model.safetensors").read_bytes(), metrics, accuracies, result["epochs"]


@pytest.mark.parametrize("stop", [{"step": 3}, {"step": 8}, {"step": 13, "how": "signal"}, {"epoch": 1}], ids=str)
@pytest.mark.parametrize("case", CASES)
def test_the_same_bits(tmp_path, case, stop):
    config = dataclasses.replace(CONFIG, **CASES[case])
    run(config, tmp_path / "through")
    with pytest.raises(TrainingInterrupted):
        run(config, tmp_path / "stopped", [StopAt(**stop)])
    torch.rand(7)  # the caller's random numbers do not matter
    result = run(config, tmp_path / "stopped", resume=True)
    at = 8 if "epoch" in stop else stop["step"]
    assert result.resumed_from == (at,)
    assert what_is_left(tmp_path / "stopped") == what_is_left(tmp_path / "through")
    assert RunFolder(tmp_path / "stopped").load_result()["resumed_from"] == [at]
    lines = [json.loads(line) for line in RunFolder(tmp_path / "stopped").metrics.read_text().splitlines()]
    assert [line.get("resumed") for line in lines] == [True if line["step"] > at else None for line in lines]
    assert not RunFolder(tmp_path / "stopped").checkpoints.exists()


def test_dropout_and_batch_norms_too(tmp_path, corners, monkeypatch):
    def bigger(data):
        return dataclasses.replace(data, images=data.images.repeat_interleave(2, 1).repeat_interleave(2, 2))

    found = [bigger(corners(60, seed)) for seed in (0, 1, 2)]
    monkeypatch.setattr("fasterkan.train.runs.train_validation_test", lambda name, root, **options: found)
    config = dataclasses.replace(
        CONFIG, model="fasterkanvolver", layers=(4,), batch_size=20, epochs=2, ema=0.9, optimizer="muon"
    )
    run(config, tmp_path / "through")
    with pytest.raises(TrainingInterrupted):
        run(config, tmp_path / "stopped", [StopAt(step=4)])
    run(config, tmp_path / "stopped", resume=True)
    assert what_is_left(tmp_path / "stopped") == what_is_left(tmp_path / "through")


def test_twice(tmp_path):
    run(CONFIG, tmp_path / "through")
    with pytest.raises(TrainingInterrupted):
        run(CONFIG, tmp_path / "stopped", [StopAt(step=5)])
    with pytest.raises(TrainingInterrupted):
        run(CONFIG, tmp_path / "stopped", [StopAt(step=19)], resume=True)
    assert run(CONFIG, tmp_path / "stopped", resume=True).resumed_from == (5, 19)
    assert what_is_left(tmp_path / "stopped") == what_is_left(tmp_path / "through")


@pytest.mark.parametrize("case", ["adamw", "patience"])
def test_stopped_after_the_last_epoch(tmp_path, case):
    class StopAtTheEnd(Observer):
        def on_end(self, result):
            raise KeyboardInterrupt

    config = dataclasses.replace(CONFIG, **CASES[case])
    run(config, tmp_path / "through")
    with pytest.raises(KeyboardInterrupt):
        run(config, tmp_path / "stopped", [StopAtTheEnd()])
    assert not RunFolder(tmp_path / "stopped").result.exists()
    run(config, tmp_path / "stopped", resume=True)
    assert what_is_left(tmp_path / "stopped") == what_is_left(tmp_path / "through")


def test_stopped_while_the_test_images_are_looked_at(tmp_path, monkeypatch):
    def stop(model, data):
        raise KeyboardInterrupt

    run(CONFIG, tmp_path / "through")
    monkeypatch.setattr("fasterkan.train.runs.evaluate", stop)
    with pytest.raises(TrainingInterrupted) as caught:
        run(CONFIG, tmp_path / "stopped")
    assert len(caught.value.result.epochs) == 3
    assert (tmp_path / "stopped" / "model" / "model.safetensors").exists()
    monkeypatch.setattr("fasterkan.train.runs.evaluate", evaluate)
    run(CONFIG, tmp_path / "stopped", resume=True)
    assert what_is_left(tmp_path / "stopped") == what_is_left(tmp_path / "through")


def test_inside_an_epoch_when_it_is_time(tmp_path):
    config = dataclasses.replace(CONFIG, checkpoint_minutes=1e-9, keep_checkpoints=100)
    with pytest.raises(TrainingInterrupted):
        run(config, tmp_path, [StopAt(step=11)])
    assert [f.name for f in sorted((tmp_path / "checkpoints").iterdir())] == [f"step-{s:08d}" for s in range(1, 12)]


def test_times_go_on(tmp_path):
    start = time.perf_counter()
    with pytest.raises(TrainingInterrupted) as caught:
        run(CONFIG, tmp_path, [StopAt(step=12)])
    before = caught.value.result.epochs[0]
    epochs = run(CONFIG, tmp_path, resume=True).training.epochs
    assert epochs[0] == before
    assert before.seconds < epochs[1].seconds < epochs[2].seconds < time.perf_counter() - start


def test_a_damaged_checkpoint_is_left_out(tmp_path, caplog):
    run(CONFIG, tmp_path / "through")
    with pytest.raises(TrainingInterrupted):
        run(CONFIG, tmp_path / "stopped", [StopAt(step=21)])
    weights = tmp_path / "stopped" / "checkpoints" / "step-00000021" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-7])
    assert run(CONFIG, tmp_path / "stopped", resume=True).resumed_from == (16,)
    assert f"checkpoint skipped: {weights}" in caplog.text
    assert what_is_left(tmp_path / "stopped") == what_is_left(tmp_path / "through")


def test_what_cannot_be_resumed(tmp_path):
    with pytest.raises(RunFolderError, match=r"config.json is missing; give a folder that `fasterkan train` wrote"):
        run(CONFIG, tmp_path / "nowhere", resume=True)
    assert not (tmp_path / "nowhere").exists()
    with pytest.raises(TrainingInterrupted):
        run(CONFIG, tmp_path / "a", [StopAt(step=9)])
    other = dataclasses.replace(CONFIG, lr=0.5, seed=3, keep_checkpoints=1, checkpoint_minutes=9.0)
    with pytest.raises(RunFolderError) as caught:
        run(other, tmp_path / "a", resume=True)
    assert str(caught.value) == (
        f"{tmp_path / 'a'} cannot be resumed with options that change its results: "
        "lr is 0.01 in the run, not 0.5, seed is 0 in the run, not 3"
    )
    run(dataclasses.replace(CONFIG, keep_checkpoints=1), tmp_path / "a", resume=True)
    with pytest.raises(RunFolderError, match=r"a has a finished run; there is nothing to resume$"):
        run(CONFIG, tmp_path / "a", resume=True)


def test_an_edited_configuration_is_refused(tmp_path):
    with pytest.raises(TrainingInterrupted):
        run(CONFIG, tmp_path, [StopAt(step=9)])
    edited = dataclasses.replace(CONFIG, weight_decay=0.7)
    (tmp_path / "config.json").write_text(json.dumps(edited.to_dict()))
    with pytest.raises(RunFolderError, match=r"step-00000009 was made with another weight_decay than config.json has"):
        run(edited, tmp_path, resume=True)


@pytest.mark.parametrize(
    "change", [{"speed": 1}, {"epochs": "many"}, {"lr": -1.0}], ids=["unknown", "of another type", "outside its domain"]
)
def test_a_checkpoint_of_another_version_is_named(tmp_path, monkeypatch, change):
    with pytest.raises(TrainingInterrupted):
        run(CONFIG, tmp_path, [StopAt(step=9)])
    own = Checkpoints.newest

    def newer(self):
        snapshot = own(self)
        return dataclasses.replace(snapshot, facts={**snapshot.facts, "config": {**snapshot.facts["config"], **change}})

    monkeypatch.setattr(Checkpoints, "newest", newer)
    with pytest.raises(RunFolderError, match=r"step-00000009 was made by another version: TrainConfig: "):
        run(CONFIG, tmp_path, resume=True)


def test_other_data_are_refused(tmp_path, corners, monkeypatch):
    with pytest.raises(TrainingInterrupted):
        run(CONFIG, tmp_path, [StopAt(step=9)])
    found = corners(300), corners(seed=1), corners(seed=2)
    monkeypatch.setattr("fasterkan.train.runs.train_validation_test", lambda name, root, **options: found)
    with pytest.raises(RunFolderError, match="after step 9 was made with another number of training images"):
        run(CONFIG, tmp_path, resume=True)


def test_another_build_is_said(tmp_path, caplog, monkeypatch):
    with pytest.raises(TrainingInterrupted):
        run(CONFIG, tmp_path, [StopAt(step=9)])
    monkeypatch.setattr("fasterkan.train.runs.versions", lambda: {"torch": "9.9"})
    run(CONFIG, tmp_path, resume=True)
    assert (
        f"changed since the checkpoint: torch {torch.__version__} to 9.9; results may differ in the last bits"
        in caplog.text
    )


def test_a_second_process_is_refused(tmp_path):
    class Intruder(Observer):
        def on_step(self, step, loss):
            for options in ({"resume": True}, {"overwrite": True}):
                with pytest.raises(RunFolderError, match=rf"is in use: process {os.getpid()} trains in it"):
                    run(config, tmp_path, **options)

    config = dataclasses.replace(CONFIG, epochs=1, batch_size=200)
    run(config, tmp_path, [Intruder()])
    assert RunFolder(tmp_path).load_result() is not None


PROGRAM = """
import sys, time
sys.path.insert(0, sys.argv[1])
import torch
from tests.train.conftest import draw_corners
import fasterkan.train.runs as runs
from fasterkan.train import Observer, RunFolder, TrainConfig

parts = draw_corners(), draw_corners(seed=1), draw_corners(seed=2)
runs.train_validation_test = lambda name, root, **options: parts

class Slow(Observer):
    def on_start(self, config, steps):
        print("begun", flush=True)

    def on_step(self, step, loss):
        pause = float(sys.argv[5])
        time.sleep(600 if pause and step == 158 else pause)  # never done before it is killed

runs.run(RunFolder(sys.argv[2]).load_config() if sys.argv[3] == "resume" else TrainConfig.from_dict(eval(sys.argv[4])),
         sys.argv[2], [Slow()], resume=sys.argv[3] == "resume")
"""
KILLED = dataclasses.replace(CONFIG, epochs=20, checkpoint_minutes=1e-9, ema=0.9, **MOVES)


def start(folder, how, pause):
    root = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", PROGRAM, root, str(folder), how, repr(KILLED.to_dict()), str(pause)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


@pytest.mark.parametrize(("kills", "pause"), [(3, 0.01), pytest.param(20, 0.05, marks=pytest.mark.slow)])
def test_sigkill(tmp_path, kills, pause):
    """A run of 160 steps, each followed by a pause and a checkpoint, is killed at random moments and resumed."""
    run(KILLED, tmp_path / "through")
    folder = tmp_path / "killed"
    random.seed(seed_of(0))
    for number in range(kills):
        process = start(folder, "resume" if number else "begin", pause)
        assert process.stdout.readline() == "begun\n"
        time.sleep(random.uniform(0, 300 * pause / kills))
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    process = start(folder, "resume", 0)
    process.communicate()
    assert process.returncode == 0
    assert what_is_left(folder) == what_is_left(tmp_path / "through")
    steps = RunFolder(folder).load_result()["resumed_from"]
    assert steps == sorted(steps)
    assert steps[-1] > 0
