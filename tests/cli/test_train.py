"""`fasterkan train`: what it prints and leaves, how options reach the configuration."""

from __future__ import annotations

import inspect
import json
import re

import pytest

import fasterkan.cli.train as command
from fasterkan.cli.options import flag, given, options
from fasterkan.cli.train import train_command
from fasterkan.train import Observer, TrainConfig, recipe, train


def test_what_it_prints(trained):
    folder, said = trained
    lines = said.out.splitlines()
    assert (said.code, said.err) == (0, "")
    assert len(lines) == 5
    for epoch, line in enumerate(lines[:2], 1):
        pattern = rf"epoch {epoch}/2  \d+\.\d it/s  loss \d\.\d{{4}}  validation \d\d\.\d\d %  \d+\.\d s, \d+ s left"
        assert re.fullmatch(pattern, line)
    result = json.loads((folder / "result.json").read_text())
    assert lines[2] == f"run kept in {folder} (weights of epoch {result['kept_epoch']}, the best)"
    assert lines[3] == (
        "validation accuracy did not pass 97.72 % (the original FasterKAN: 97.72 % test after 195 s on a laptop GPU)"
    )
    assert lines[4] == (
        f"test accuracy {100 * result['test_accuracy']:.2f} % (validation {100 * result['validation_accuracy']:.2f} %, "
        f"{result['training_seconds']:.1f} s training)"
    )
    assert result["test_accuracy"] > 0.7


def test_the_milestone_is_said(trained, call, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "MILESTONE", 0.3)
    said = call(
        "train", "mnist", "--layers", "784,10", "--batch-size", "2000", "--epochs", "1", "--out", tmp_path / "a"
    )
    assert re.match(r"validation accuracy passed 30\.00 % after \d+\.\d s \(the original", said.out.splitlines()[-2])


def test_options_reach_the_configuration(trained):
    folder, _ = trained
    config = TrainConfig.from_dict(json.loads((folder / "config.json").read_text()))
    assert config == TrainConfig(layers=(784, 10), num_grids=2, batch_size=2000, epochs=2, lr=0.02)


@pytest.mark.parametrize(
    ("texts", "fields"),
    [
        ({"layers": "784,64,10", "lr": 0.1}, {"layers": (784, 64, 10), "lr": 0.1}),
        ({"betas": "0.8,0.9", "train_grid": False}, {"betas": (0.8, 0.9), "train_grid": False}),
        ({"inv_denominator": "auto", "norm_gain": "0.5"}, {"inv_denominator": "auto", "norm_gain": 0.5}),
        ({"clip_grad_norm": 1.0, "optimizer": "sgd", "seed": None}, {"clip_grad_norm": 1.0, "optimizer": "sgd"}),
    ],
)
def test_given(texts, fields):
    assert given(texts) == fields


def test_every_field_is_an_option():
    names = set(inspect.signature(train_command).parameters)
    assert set(TrainConfig().to_dict()) <= names
    assert {parameter.name for parameter in options()} == set(TrainConfig().to_dict()) - {"dataset"}


def test_the_help_shows_examples_defaults_and_exit_codes(call):
    text = call("train", "--help").out
    flat = " ".join(text.split())
    assert "fasterkan train mnist --recipe mnist-cpu --seed 0 --out runs/first" in text
    assert "--batch-size <int> Number of images in a step. [default: 128]" in flat.replace("INTEGER", "<int>")
    assert "--optimizer adamw|sgd" in flat
    assert "--inv-denominator FLOAT|auto" in flat
    assert "Exit codes: 0 done; 1 the run failed; 2 bad usage or input; 130 interrupted (Ctrl-C)." in flat
    for name in TrainConfig().to_dict():
        assert name == "dataset" or flag(name) in flat


class Stop(Observer):
    def __init__(self, step):
        self.at = step

    def on_step(self, step, loss):
        if step == self.at:
            raise KeyboardInterrupt


@pytest.fixture
def stop_at(monkeypatch):
    """Let Ctrl-C arrive at a step."""

    def stop(step):
        def stopped(model, train_set, validation_set, config, observers, **options):
            return train(model, train_set, validation_set, config, [*observers, Stop(step)], **options)

        monkeypatch.setattr("fasterkan.train.runs.train", stopped)

    return stop


def test_interruption_says_what_was_saved(call, stop_at, tmp_path):
    stop_at(40)
    said = call(
        "train", "mnist", "--layers", "784,10", "--num-grids", "2", "--batch-size", "2000", "--out", tmp_path / "a"
    )
    assert said.code == 130
    assert re.fullmatch(
        rf"interrupted after 1 epochs: {re.escape(str(tmp_path / 'a' / 'model'))} holds the weights of epoch 1 "
        rf"\(validation \d\d\.\d\d %\); the test images were not looked at; to go on: fasterkan train --resume "
        rf"{re.escape(str(tmp_path / 'a'))}\n",
        said.err,
    )
    assert (tmp_path / "a" / "model" / "model.safetensors").exists()
    assert "test accuracy" not in said.out


def test_early_interruption_says_that_nothing_was_saved(call, stop_at, tmp_path):
    stop_at(2)
    said = call("train", "mnist", "--layers", "784,10", "--out", tmp_path / "a")
    assert said.code == 130
    assert said.err == (
        "interrupted before the end of the first epoch: no model was saved; to go on: "
        f"fasterkan train --resume {tmp_path / 'a'}\n"
    )


def test_a_run_that_fails(call, tmp_path):
    said = call("train", "mnist", "--layers", "784,10", "--optimizer", "sgd", "--lr", "1e38", "--out", tmp_path / "a")
    assert said.code == 1
    assert re.fullmatch(
        r"error: train: the loss is (nan|inf) after \d+ of 4290 steps; .*; try a lower lr .*\n", said.err
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("mnsit",), "unknown dataset 'mnsit'; did you mean 'mnist'?"),
        (
            ("mnist", "--recipe", "mnist-gpu"),
            "unknown recipe 'mnist-gpu'; did you mean 'mnist-cpu'? known: mnist-cpu, ",
        ),
        (("mnist", "--layers", "784,x,10"), "--layers: 'x' is not a whole number"),
        (("mnist", "--betas", "0.9,y"), "--betas: 'y' is not a number"),
        (("mnist", "--norm-gain", "big"), "--norm-gain: 'big' is not a number or \"auto\""),
        (("mnist", "--optimizer", "adam"), "TrainConfig: unknown optimizer 'adam'; did you mean 'adamw'?"),
        (("mnist", "--epochs", "0"), "TrainConfig: epochs must be at least 1, got 0"),
        (("mnist", "--layers", "100,10"), "layers 100,10 do not fit mnist: it has 784 pixels and 10 classes"),
        (("mnist", "--data-root", "/nowhere"), "mnist: found neither train-images-idx3-ubyte.gz"),
        ((), "name a data set, such as mnist, or a run to go on with: --resume RUN"),
        (("mnist", "--seeds", "0,x"), "--seeds: 'x' is not a whole number"),
        (("mnist", "--seeds", "1,1"), "seeds must be one or more different numbers, such as 0,1,2; got [1, 1]"),
        (
            ("mnist", "--model", "fasterkanvolver", "--layers", "9"),
            "layers 9 do not fit mnist: it has 784 pixels and 10",
        ),
        (("mnist", "--device", "abacus"), "device 'abacus' cannot be used here"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, tuple) else "",
)
def test_bad_input(call, tmp_path, words, message):
    said = call("train", *words, "--out", tmp_path / "a")
    assert said.code == 2
    assert said.err.startswith(f"error: {message}")
    assert "Traceback" not in said.err
    assert said.out == ""
    assert not (tmp_path / "a").exists()


def test_bad_usage(call):
    for words in (("mnist", "--sede", "1"), ("mnist", "--epochs", "many")):
        assert call("train", *words).code == 2


def test_a_run_is_not_overwritten_unless_asked(trained, call):
    folder, _ = trained
    before = (folder / "result.json").read_bytes()
    said = call("train", "mnist", "--out", folder)
    assert said.code == 2
    assert said.err.startswith(f"error: {folder} is not empty (it has config.json, metrics.jsonl, model, result.json)")
    assert (folder / "result.json").read_bytes() == before


def test_recipe_sets_defaults_and_options_override(call, tmp_path, stop_at):
    stop_at(1)
    call("train", "mnist", "--recipe", "mnist-cpu", "--no-freeze-input-norm", "--seed", "5", "--out", tmp_path / "a")
    config = TrainConfig.from_dict(json.loads((tmp_path / "a" / "config.json").read_text()))
    assert config == recipe("mnist-cpu", freeze_input_norm=False, seed=5)


SMALL = ("--layers", "784,10", "--num-grids", "2", "--batch-size", "2000", "--lr", "0.02", "--epochs", "2")


def test_resume(call, trained, stop_at, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("fasterkan.train.runs.train", lambda *a, **k: train(*a[:4], [*a[4], Stop(40)], **k))
        assert call("train", "mnist", *SMALL, "--out", tmp_path / "a").code == 130
    said = call("train", "--resume", tmp_path / "a", "--lr", "0.1")
    assert said.code == 2
    assert said.err.endswith("options that change its results: lr is 0.02 in the run, not 0.1\n")
    said = call("train", "--resume", tmp_path / "a", "--keep-checkpoints", "1")
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert lines[0] == "resumed after 40 steps, 1 of 2 epochs done"
    assert lines[1].startswith("epoch 2/2  ")
    for name in ("model/model.safetensors",):
        assert (tmp_path / "a" / name).read_bytes() == (trained[0] / name).read_bytes()
    said = call("train", "--resume", tmp_path / "a")
    assert said.err == f"error: {tmp_path / 'a'} has a finished run; there is nothing to resume\n"


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("--recipe", "mnist-cpu"), "--recipe"),
        (("--out", "there", "--overwrite"), "--out, --overwrite"),
        (("--seeds", "1,2"), "--seeds"),
    ],
)
def test_what_resume_does_not_take(call, trained, words, names):
    said = call("train", "--resume", trained[0], *words)
    assert said.err == f"error: --resume takes everything from the run's folder; leave out {names}\n"


def test_seeds(call, tmp_path):
    said = call("train", "mnist", *SMALL[:-1], "1", "--seeds", "0,4", "--out", tmp_path / "s")
    assert (said.code, said.err) == (0, "")
    summary = json.loads((tmp_path / "s" / "summary.json").read_text())
    lines = said.out.splitlines()
    assert lines[-4].split() == ["seed", "test", "validation", "training"]
    for line, one in zip(lines[-3:-1], summary["runs"], strict=True):
        assert line.split()[:3] == [str(one["seed"]), f"{100 * one['test_accuracy']:.2f}", "%"]
    test = summary["test_accuracy"]
    assert lines[-1] == (
        f"test accuracy {100 * test['mean']:.2f} ± {100 * test['sd']:.2f} % (mean ± sd of 2 seeds), "
        f"see {tmp_path / 's' / 'summary.json'}"
    )


def test_tensorboard_that_is_not_there(call, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    said = call("train", "mnist", "--tensorboard", "--out", tmp_path / "a")
    assert said.code == 2
    assert said.err == "error: TensorBoard is not installed; run: pip install 'fasterkan[train]'\n"
    assert not (tmp_path / "a").exists()


def save_pictures(folder, count):
    """Colour pictures of 16 x 16, a folder a class: one is red, one is blue."""
    image = pytest.importorskip("PIL.Image")
    for name, channel in (("blue", 2), ("red", 0)):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            color = [20 + i, 20, 20]
            color[channel] = 200 + i
            image.new("RGB", (16, 16), tuple(color)).save(folder / name / f"{i:02d}.png")


def test_a_folder_of_pictures_with_a_fasterkanvolver(call, tmp_path):
    save_pictures(tmp_path / "pictures", 30)
    said = call(
        "train", tmp_path / "pictures", "--model", "fasterkanvolver", "--batch-size", "8", "--epochs", "2",
        "--out", tmp_path / "run",
    )  # fmt: skip
    assert (said.code, said.err) == (0, "")
    config = TrainConfig.from_dict(json.loads((tmp_path / "run" / "config.json").read_text()))
    assert (config.model, config.layers) == ("fasterkanvolver", (64, 2))
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    evaluated = json.loads(call("eval", tmp_path / "run", "--json").out)
    assert evaluated["accuracy"] == result["test_accuracy"]
    about = json.loads(call("info", tmp_path / "run", "--json").out)
    assert (about["model"], about["layers"]) == ("FasterKANvolver", [64, 2])
    assert sum(about["parameters"].values()) == about["whole"]
    assert about["parameters"]["convolutions"] > 300_000
    assert about["parameters"]["weights"] == 8 * (256 * 64 + 64 * 2)
    assert "convolutions " in call("info", tmp_path / "run").out
