"""TrainConfig: every field is checked when it is made, and comes back from JSON as it was."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest

import fasterkan as fk
from fasterkan.models.registry import what_it_takes
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
    ("model", "kna", "unknown model 'kna'; did you mean 'kan'? known: chebykan, efficientkan, fasterkan, "),
    ("model", 3, "model must be a name, such as chebykan; got 3"),
    (
        "basis",
        "BSpline",
        "fasterkan has functions of its own, it takes no basis; leave BSpline out, or choose another ",
    ),
    ("model_args", {"degree": 3}, "fasterkan has no argument 'degree'; known: grid_min, grid_max, num_grids, "),
    ("model_args", "degree=3", "model_args must be values by their names, such as {\"degree\": 3}; got 'degree=3'"),
    ("model_args", [1, 2], "model_args must be values by their names, "),
    ("basis_args", {"degree": math.inf}, "basis_args['degree'] must be a finite number, a word, True, False or None, "),
    ("basis_args", {"degree": 3}, "basis_args are arguments of a basis, and none is named; set basis"),
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
    ("white", 0, "white must be above 0, got 0"),
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


REFUSED_NETWORKS = [
    ({"basis": "bsplin"}, "TrainConfig: unknown basis 'bsplin'; did you mean 'BSpline'? known: BSpline, "),
    ({"basis": 3}, "TrainConfig: basis must be the name of a family of functions, such as bspline; got 3"),
    (
        {"basis": "bspline", "basis_args": {"degre": 3}},
        "TrainConfig: BSpline has no argument 'degre'; did you mean 'degree'? known: grid_size, degree, grid_range, ",
    ),
    ({"basis": "bspline", "basis_args": {"grid_size": 0}}, "BSpline: grid_size must be at least 1, got 0"),
    ({"basis": "bspline", "basis_args": {"grid_size": "8"}}, "BSpline: grid_size must be a whole number, got '8'"),
    (
        {"num_grids": 8, "exponent": 2.0},
        "TrainConfig: kan has no num_grids and no exponent; it takes basis with basis_args (--basis, --basis-arg) and "
        "model_args (--model-arg): norm, base, base_input, bias, after, first_affine",
    ),
    (
        {"model": "mlp", "train_grid": False},
        "TrainConfig: mlp has no train_grid; it takes model_args (--model-arg): activation, bias",
    ),
    ({"model_args": {"nrm": "rms"}}, "TrainConfig: kan has no argument 'nrm'; did you mean 'norm'? known: norm, base,"),
    ({"model_args": {"generator": 1}}, "TrainConfig: kan has no argument 'generator'; "),
    (
        {"model": "fastkan", "num_grids": 5, "model_args": {"num_grids": 6}},
        "TrainConfig: num_grids is given twice, 5 and in model_args 6; leave one out",
    ),
    ({"layers": (784,)}, "TrainConfig: layers needs an input and an output width"),
]


@pytest.mark.parametrize(("fields", "message"), REFUSED_NETWORKS, ids=[str(fields) for fields, _ in REFUSED_NETWORKS])
def test_refused_networks(fields, message):
    with pytest.raises((TypeError, ValueError)) as caught:
        TrainConfig(**{"model": "kan", **fields})
    assert str(caught.value).startswith(message)


def test_names_in_any_case_and_arguments_in_any_order():
    config = TrainConfig(
        model="KAN",
        basis="BSPLINE",
        basis_args={"grid_range": [-2, 2], "degree": 2},
        model_args={"norm": ["rms", None]},
    )
    assert (config.model, config.basis) == ("kan", "BSpline")
    assert config.chosen_basis() == fk.BSpline(degree=2, grid_range=(-2, 2))
    assert config.arguments() == {"norm": ("rms", None)}
    again = TrainConfig(model="kan", basis="bspline", basis_args=(("degree", 2), ("grid_range", (-2, 2))))
    assert again == dataclasses.replace(config, model_args=())
    fields = json.loads(json.dumps(config.to_dict()))
    assert (fields["basis_args"], fields["num_grids"]) == ({"degree": 2, "grid_range": [-2, 2]}, None)
    assert TrainConfig.from_dict(fields) == config
    assert len({config, TrainConfig.from_dict(fields), again}) == 2


def test_arguments_that_are_fields():
    config = TrainConfig(model="fastkan", model_args={"num_grids": 5, "use_base_update": False})
    assert (config.num_grids, config.model_args) == (5, (("use_base_update", False),))
    assert config == TrainConfig(model="fastkan", num_grids=5, model_args={"use_base_update": False})
    assert config.arguments() == {"num_grids": 5, "grid_min": -2.0, "grid_max": 2.0, "use_base_update": False}
    assert (config.exponent, config.norm_gain, config.train_grid) == (None, None, None)


def test_a_fasterkan_has_the_fields_it_always_had():
    for model in ("fasterkan", "fasterkanvolver"):
        assert TrainConfig(model=model).arguments() == {
            "num_grids": 8, "grid_min": -1.2, "grid_max": 1.2, "inv_denominator": 1.0, "exponent": 2.0,
            "train_grid": False, "train_inv_denominator": False, "norm_gain": 1.0,
        }  # fmt: skip
    earlier = TrainConfig().to_dict()
    for name in ("basis", "basis_args", "model_args"):
        del earlier[name]
    assert TrainConfig.from_dict(earlier) == TrainConfig()


def test_the_help_names_the_models_with_a_basis():
    names = [name.lower() for name in fk.list_models() if what_it_takes(name).basis]
    assert f"({', '.join(names)})" in field_docs()["basis"]


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
    assert docs["batch_size"] == "Number of images in a step."
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
    assert recipe("mnist-cpu", model="FasterKANvolver", layers=(64, 10)).inv_denominator == 3.0
    with pytest.raises(ValueError, match=r"^recipe 'mnist-cpu' sets arguments of fasterkan, which kan does not have; "):
        recipe("mnist-cpu", model="kan")
    with pytest.raises(ValueError, match=r"unknown recipe 'mnist-gpu'; did you mean 'mnist-cpu'\? known: mnist-cpu, "):
        recipe("mnist-gpu")


def test_the_recipe_for_cpus_is_the_one_that_the_documentation_explains():
    config = recipe("mnist-cpu")
    assert (config.norm_gain, config.inv_denominator, config.freeze_input_norm) == (0.3, 3.0, True)
    assert (config.shift, config.rotate, config.scale, config.shear, config.augment_off) == (1.5, 8.0, 0.1, 0.1, 0.1)
    assert (config.optimizer, config.warmup, config.schedule) == ("adamw", 0.1, "linear")
    assert (config.label_smoothing, config.weight_decay, config.matmul) == (0.05, 0.1, "medium")
