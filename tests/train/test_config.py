"""TrainConfig: every field is checked when it is made, and comes back from JSON as it was."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest

from fasterkan.train import RECIPES, TrainConfig, choices, field_docs, recipe

REFUSED = [
    ("layers", (784,), "layers needs an input and an output width, such as 784,10; got (784,)"),
    ("layers", (784, 0, 10), "layers[1] must be at least 1, got 0"),
    ("layers", (784, "256", 10), "layers[1] must be a whole number, got '256' (str)"),
    ("layers", "784,10", "layers must be a sequence of numbers, got '784,10'"),
    ("num_grids", 1, "num_grids must be at least 2, got 1"),
    ("grid_max", -1.2, "grid_max must be above grid_min (-1.2), got -1.2"),
    ("grid_min", math.nan, "grid_min must be finite, got nan"),
    ("inv_denominator", 0.0, "inv_denominator must not be 0"),
    ("inv_denominator", "wide", "inv_denominator must be a number or \"auto\", got 'wide'"),
    ("norm_gain", "large", "norm_gain must be a number or \"auto\", got 'large'"),
    ("norm_gain", -1.0, "norm_gain must be above 0, got -1.0"),
    ("exponent", 0, "exponent must be above 0, got 0"),
    ("train_grid", 1, "train_grid must be True or False, got 1"),
    ("optimizer", "adam", "unknown optimizer 'adam'; did you mean 'adamw'? known: adamw, sgd, muon"),
    ("schedule", "cosin", "unknown schedule 'cosin'; did you mean 'cosine'? known: linear, cosine, constant"),
    ("precision", "half", "unknown precision 'half'; known: float32, bf16, fp16"),
    ("keep", "first", "unknown keep 'first'; known: best, last"),
    ("matmul", "low", "unknown matmul 'low'; known: highest, high, medium"),
    ("lr", 0.0, "lr must be above 0, got 0.0"),
    ("lr", math.inf, "lr must be finite, got inf"),
    ("lr", "fast", "lr must be a number, got 'fast' (str)"),
    ("betas", (0.9,), "betas must be two numbers, such as 0.9,0.98; got (0.9,)"),
    ("betas", (0.9, 1.0), "betas[1] must be at least 0 and below 1, got 1.0"),
    ("weight_decay", -0.1, "weight_decay must not be negative, got -0.1"),
    ("warmup", 1.0, "warmup must be at least 0 and below 1, got 1.0"),
    ("label_smoothing", 1.0, "label_smoothing must be at least 0 and below 1, got 1.0"),
    ("batch_size", 0, "batch_size must be at least 1, got 0"),
    ("epochs", 2.5, "epochs must be a whole number, got 2.5 (float)"),
    ("epochs", True, "epochs must be a whole number, got True (bool)"),
    ("accumulate", 0, "accumulate must be at least 1, got 0"),
    ("ema", 1.0, "ema must be at least 0 and below 1, got 1.0"),
    ("patience", 0, "patience must be at least 1, got 0"),
    ("elastic", -1.0, "elastic must not be negative, got -1.0"),
    ("model", "kan", "unknown model 'kan'; known: fasterkan, fasterkanvolver"),
    ("checkpoint_minutes", 0, "checkpoint_minutes must be above 0, got 0"),
    ("keep_checkpoints", -1, "keep_checkpoints must be at least 0, got -1"),
    ("clip_grad_norm", 0.0, "clip_grad_norm must be above 0, got 0.0"),
    ("shift", -1.0, "shift must not be negative, got -1.0"),
    ("rotate", math.nan, "rotate must be finite, got nan"),
    ("augment_off", 1.5, "augment_off must be from 0 to 1, got 1.5"),
    ("seed", -1, "seed must be at least 0, got -1"),
    ("seed", 2**63, f"seed must be below 2^63, got {2**63}"),
    ("dataset", "", "dataset must be a string of one or more letters, got ''"),
    ("data_root", 3, "data_root must be a string of one or more letters, got 3"),
]


@pytest.mark.parametrize(("field", "value", "message"), REFUSED, ids=[f"{f}={v!r}" for f, v, _ in REFUSED])
def test_refused(field, value, message):
    with pytest.raises((TypeError, ValueError)) as caught:
        TrainConfig(**{field: value})
    assert str(caught.value).startswith(f"TrainConfig: {message}")


def test_comes_back_from_json():
    config = recipe("mnist-cpu", layers=(784, 64, 10), inv_denominator="auto", clip_grad_norm=1.0, data_root="d")
    fields = json.loads(json.dumps(config.to_dict()))
    assert fields["layers"] == [784, 64, 10]
    assert TrainConfig.from_dict(fields) == config
    assert TrainConfig.from_dict({}) == TrainConfig()


def test_muon_takes_no_float16():
    with pytest.raises(ValueError, match=r'optimizer "muon" needs precision "float32" or "bf16", got "fp16"$'):
        TrainConfig(optimizer="muon", precision="fp16")


def test_differences_are_those_that_change_numbers():
    config = recipe("mnist-cpu")
    other = dataclasses.replace(config, lr=1.0, data_root="there", keep_checkpoints=5, checkpoint_minutes=1.0, epochs=2)
    assert config.differences(other) == ("lr", "epochs")
    assert config.differences(config) == ()


def test_unknown_field_is_refused_with_the_nearest():
    with pytest.raises(
        ValueError, match=r"^TrainConfig: unknown field 'epoch'; did you mean 'epochs'\? known: dataset, "
    ):
        TrainConfig.from_dict({"epoch": 3})


def test_every_field_is_documented():
    docs = field_docs()
    assert list(docs) == [field.name for field in dataclasses.fields(TrainConfig)]
    assert docs["batch_size"] == "Images in a step."
    assert all("\n" not in doc and doc.endswith(".") for doc in docs.values())


def test_without_sources_there_is_no_help(monkeypatch):
    def gone(_):
        raise OSError("could not get source code")

    monkeypatch.setattr("inspect.getsource", gone)
    assert field_docs() == {}


@pytest.mark.parametrize(
    ("field", "words"),
    [("optimizer", ("adamw", "sgd", "muon")), ("inv_denominator", ("auto",)), ("lr", ()), ("data_root", ())],
)
def test_choices(field, words):
    assert choices(field) == words


def test_recipes():
    config = recipe("mnist-cpu", seed=2)
    assert (config.dataset, config.layers, config.num_grids, config.seed) == ("mnist", (784, 256, 10), 8, 2)
    assert RECIPES["mnist-cpu"].seed == 0
    assert (RECIPES["fasterkanvolver-gpu"].layers, RECIPES["fasterkanvolver-gpu"].epochs) == ((64, 10), 15)
    with pytest.raises(ValueError, match=r"unknown recipe 'mnist-gpu'; did you mean 'mnist-cpu'\? known: mnist-cpu, "):
        recipe("mnist-gpu")
