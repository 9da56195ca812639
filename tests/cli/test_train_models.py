"""`fasterkan train --model`: any registered model by name, its basis and arguments, and every command on its run."""

from __future__ import annotations

import dataclasses
import json

import pytest
from PIL import Image, ImageDraw

import fasterkan as fk
from fasterkan.cli.values import read
from fasterkan.models.registry import what_it_takes
from fasterkan.train import RunFolder
from fasterkan.train.names import basis_types

QUICK = ("--batch-size", 30, "--epochs", 1, "--lr", 0.01)


@pytest.fixture(scope="module")
def digits():
    """A few images of MNIST: to train on, to validate and to test."""
    whole = fk.data.train_validation_test("mnist")
    return [dataclasses.replace(part, images=part.images[:61], labels=part.labels[:61]) for part in whole]


@pytest.fixture(autouse=True)
def few(monkeypatch, digits):
    """Let every command find these alone."""
    for place in ("train.runs", "cli.saved", "cli.rows"):
        monkeypatch.setattr(f"fasterkan.{place}.train_validation_test", lambda name, root, **options: digits)


@pytest.fixture
def seven(tmp_path):
    image = Image.new("L", (100, 120), 250)
    ImageDraw.Draw(image).line([(20, 20), (70, 20), (40, 90)], fill=10, width=8)
    image.save(tmp_path / "seven.png")
    return tmp_path / "seven.png"


RUNS = {
    "kan": (
        ("--model", "kan", "--basis", "bspline", "--basis-arg", "grid_size=8", "--basis-arg", "degree=2", "--layers",
         "784,5,10", "--model-arg", "base=silu"),
        fk.KAN([784, 5, 10], fk.BSpline(grid_size=8, degree=2), base="silu"),
        "KAN [784, 5, 10]",
    ),
    "feature-norm": (
        ("--model", "kan", "--model-arg", "norm=feature", "--layers", "784,2,10"),
        fk.KAN([784, 2, 10], norm="feature"),
        "KAN [784, 2, 10]",
    ),
    "fastkan": (
        ("--model", "FastKAN", "--model-arg", "num_grids=5", "--grid-max", "1.5", "--layers", "784,10"),
        fk.FastKAN([784, 10], num_grids=5, grid_max=1.5),
        "KAN [784, 10], made as fastkan",
    ),
    "reskannet": (
        ("--model", "reskannet", "--basis", "hat", "--model-arg", "channels=3", "--layers", "10"),
        fk.ResKANNet([10], (3,), basis=fk.Hat()),
        "ResKANNet [10]",
    ),
    "kanvolver": (("--model", "kanvolver"), fk.KANvolver([64, 10]), "KANvolver [64, 10]"),
    "mlp": (("--model", "mlp", "--model-arg", "activation=relu"), fk.MLP([784, 256, 10], "relu"), "MLP [784, 256, 10]"),
}  # fmt: skip


@pytest.mark.parametrize("case", RUNS)
def test_a_run_and_every_command_on_it(call, tmp_path, seven, case):
    words, expected, shown = RUNS[case]
    folder = tmp_path / "run"
    said = call("train", "mnist", *words, *QUICK, "--out", folder)
    assert (said.code, said.err) == (0, "")
    place = RunFolder(folder)
    model = place.load_model()
    assert (type(model), model.to_config()) == (type(expected), expected.to_config())
    evaluated = json.loads(call("eval", folder, "--json").out)
    assert evaluated["accuracy"] == place.load_result()["test_accuracy"]
    lines = {line[:12].strip(): line[12:] for line in call("info", folder).out.splitlines()}
    assert lines["model"] == shown
    about = json.loads(call("info", folder, "--json").out)
    assert about["whole"] == sum(about["parameters"].values()) == sum(t.numel() for t in model.state_dict().values())
    predicted = json.loads(call("predict", folder, seven, "--json").out)
    assert len(predicted["probabilities"]) == 10
    said = call("diagnose", folder, "--rows", 20)
    if case == "mlp":
        assert (said.code, said.err) == (2, "error: diagnose: MLP has no KANLinear layer\n")
        assert (lines["activation"], "basis" in lines) == ("relu", False)
    else:
        assert (said.code, said.err) == (0, "")
        assert "20 rows" in said.out
        assert lines["edges"] == f"{about['edges']:,}"


def test_edges_of_convolutions_are_counted(call, tmp_path):
    fk.ResKANNet([10], (3,), basis=fk.Hat()).save_pretrained(tmp_path)
    about = json.loads(call("info", tmp_path, "--json").out)
    assert about["edges"] == 2 * 3 * 3 * 9 + 3 * 10  # two convolutions of 3 x 3, and the head
    assert about["parameters"]["weights"] == 8 * 3 * 10
    assert about["basis"].startswith("Hat(")


def test_resume_with_arguments(call, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    words = RUNS["kan"][0]
    assert call("train", "mnist", *words, *QUICK, "--out", folder).code == 0
    before = RunFolder(folder).load_config()
    (folder / "result.json").unlink()
    for more in ((), ("--basis-arg", "degree=2"), ("--model", "KAN", "--model-arg", "base=silu")):
        assert call("train", "--resume", folder, *more).code == 0
        assert RunFolder(folder).load_config() == before
        (folder / "result.json").unlink()
    said = call("train", "--resume", folder, "--basis-arg", "degree=3")
    assert said.code == 2
    assert "cannot be resumed with options that change its results: basis_args is" in said.err
    said = call("train", "--resume", folder, "--model", "mlp")
    assert said.err == f"error: {folder} holds a run of kan, it cannot be resumed as one of mlp\n"


KAN, BSPLINE = "kan has no argument", "bspline has grid_size, degree, grid_range, outside, knots, per_feature"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--model kna", "TrainConfig: unknown model 'kna'; did you mean 'kan'? known: chebykan, efficientkan, "),
        ("--model kan --basis bsplin", "TrainConfig: unknown basis 'bsplin'; did you mean 'BSpline'? known: "),
        ("--model kan --basis bsplin --basis-arg a=1", "unknown basis 'bsplin'; did you mean 'BSpline'? known: "),
        ("--basis bspline", "TrainConfig: fasterkan has functions of its own, it takes no basis; "),
        ("--model kan --basis-arg degree=3", "--basis-arg is an argument of a basis; name one, such as --basis "),
        (
            "--model kan --basis bspline --basis-arg degre=3",
            "--basis-arg: bspline has no argument 'degre'; did you mean 'degree'? known: grid_size, degree, ",
        ),
        (
            "--model kan --basis bspline --basis-arg degree=x",
            f"--basis-arg degree: 'x' is not a whole number; {BSPLINE}",
        ),
        ("--model kan --basis bspline --basis-arg degree", f"--basis-arg: 'degree' must be name=value; {BSPLINE}"),
        (
            "--model kan --basis bspline --basis-arg degree=2 --basis-arg degree=3",
            "--basis-arg: degree is given twice",
        ),
        ("--model kan --basis bspline --basis-arg grid_size=0", "BSpline: grid_size must be at least 1, got 0"),
        ("--model kan --model-arg nrm=rms", f"--model-arg: {KAN} 'nrm'; did you mean 'norm'? known: norm, base, "),
        ("--model kan --model-arg norm=featur", "--model-arg norm: 'featur' is not 'layer' or 'rms' or 'feature' or "),
        ("--model kan --model-arg base=selu", "base must be None, a callable or one of silu, gelu, relu, tanh, "),
        ("--model kan --num-grids 8", "TrainConfig: kan has no num_grids; it takes basis with basis_args (--basis, "),
        ("--model mlp --train-grid --exponent 2", "TrainConfig: mlp has no exponent and no train_grid; it takes "),
        (
            "--model fastkan --num-grids 5 --model-arg num_grids=5",
            "num_grids is given twice, with --num-grids and with --model-arg; leave one out",
        ),
        ("--model kan --recipe mnist-cpu", "recipe 'mnist-cpu' sets arguments of fasterkan, which kan does not have; "),
        ("--model mlp --freeze-input-norm", "freeze_input_norm: the first layer of this mlp has no norm that is "),
        ("--model wavkan --batch-size 1", "a batch of 1 image is too small for KAN, whose batch norms need two in "),
        ("--model kanvolver --layers 784,9", "layers 784,9 do not fit mnist: it has 784 pixels and 10 classes, "),
        ("--model reskannet --basis wavelet", "KANConv2d: Wavelet has tensors for each edge, "),
    ],
)
def test_bad_input(call, tmp_path, words, message):
    said = call("train", "mnist", *words.split(), "--out", tmp_path / "a")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"error: {message}")
    assert len(said.err.splitlines()) == 1
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("owner", "name", "text", "value"),
    [
        ("bspline", "grid_size", "8", 8),
        ("bspline", "grid_range", "-1,1", (-1.0, 1.0)),
        ("bspline", "knots", "none", None),
        ("bspline", "per_feature", "True", True),
        ("bspline", "outside", "linear", "linear"),
        ("chebyshev", "domain", "None", None),
        ("rswaf", "inv_denominator", "auto", "auto"),
        ("rswaf", "inv_denominator", "2", 2.0),
        ("kan", "norm", "feature", "feature"),
        ("kan", "norm", "none,layer", (None, "layer")),
        ("kan", "base", "none", None),
        ("fastkan", "base_activation", "gelu", "gelu"),
        ("reskannet", "channels", "16,32", (16, 32)),
        ("reskannet", "channels", "16", (16,)),
        ("kan", "after", "batchnorm_relu", "batchnorm_relu"),
    ],
)
def test_values_are_read_by_their_type(owner, name, text, value):
    types = what_it_takes(owner).types if owner.upper() in map(str.upper, fk.list_models()) else basis_types(owner)
    found = read(text, types[name])
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("owner", "name", "text", "message"),
    [
        ("bspline", "grid_range", "-1,x", "'x' is not a number"),
        ("bspline", "per_feature", "1", "'1' is not true or false"),
        ("bspline", "knots", "x", "'x' is not a number"),
        ("rswaf", "inv_denominator", "wide", "'wide' is not a number or 'auto'"),
        ("reskannet", "blocks", "1.5", "'1.5' is not a whole number"),
        ("mlp", "activation", "silu,relu", "'silu,relu' is not a word or none"),
    ],
)
def test_values_of_another_type(owner, name, text, message):
    types = what_it_takes(owner).types if owner.upper() in map(str.upper, fk.list_models()) else basis_types(owner)
    with pytest.raises(ValueError) as caught:
        read(text, types[name])
    assert str(caught.value) == message


def test_the_help_names_models_and_bases(call):
    flat = " ".join(call("train", "--help").out.split())
    assert f"Known: {', '.join(name.lower() for name in fk.list_models())}." in flat
    known = flat.partition("--basis NAME")[2].partition("Known: ")[2].partition(".")[0].split(", ")
    assert {"bspline", "chebyshev", "fourier", "gaussian", "hat", "rswaf", "relubump", "wavelet"} <= {*known}
    assert "--basis-arg NAME=VALUE Argument of the basis, such as degree=3; may be given several times." in flat
    assert "--num-grids" in flat
    assert "[default: 8, or the model's own]" in flat
