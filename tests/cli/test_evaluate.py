"""`fasterkan eval`: it repeats what the run said."""

from __future__ import annotations

import json

import pytest

import fasterkan as fk


def test_it_repeats_the_runs_test_accuracy(call, trained):
    folder, _ = trained
    result = json.loads((folder / "result.json").read_text())
    said = call("eval", folder, "--json")
    found = json.loads(said.out)
    assert (said.code, said.err) == (0, "")
    assert found["accuracy"] == result["test_accuracy"]
    assert found["loss"] == pytest.approx(result["test_loss"], rel=1e-6)
    assert (found["dataset"], found["split"], found["rows"]) == ("mnist", "test", 10_000)
    assert sum(found["confusion"][i][i] for i in range(10)) == round(10_000 * result["test_accuracy"])
    assert [sum(row) for row in found["confusion"]] == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_the_validation_split(call, trained):
    folder, _ = trained
    result = json.loads((folder / "result.json").read_text())
    found = json.loads(call("eval", folder, "--split", "validation", "--json").out)
    assert (found["accuracy"], found["rows"]) == (result["validation_accuracy"], 5_000)


def test_text(call, trained):
    folder, _ = trained
    result = json.loads((folder / "result.json").read_text())
    lines = call("eval", folder).out.splitlines()
    assert lines[0].split() == ["label", "\\", "prediction", *"0123456789"]
    assert len(lines) == 12
    numbers = [int(word) for word in lines[1].split()[1:-2]]
    assert sum(numbers) == 980
    assert lines[1].endswith(f"  {100 * numbers[0] / 980:.2f} %")
    assert lines[-1] == (
        f"test accuracy {100 * result['test_accuracy']:.2f} % (loss {result['test_loss']:.4f}, 10,000 images of mnist)"
    )


def test_a_saved_model_needs_the_name_of_the_data(call, trained):
    model = trained[0] / "model"
    assert call("eval", model).err == f"error: {model} is a model without a run; name the data set: --dataset mnist\n"
    assert call("eval", model, "--dataset", "mnist", "--json").code == 0


def test_bad_input(call, trained, tmp_path):
    said = call("eval", trained[0], "--split", "tests")
    assert (said.code, said.err) == (2, "error: --split: unknown 'tests'; known: train, validation, test\n")
    fk.FasterKAN([100, 10]).save_pretrained(tmp_path)
    said = call("eval", tmp_path, "--dataset", "mnist")
    assert said.code == 2
    assert said.err.startswith("error: layers 100,10 do not fit mnist: it has 784 pixels and 10 classes")
    assert call("eval", trained[0], "--dataset", "minst").code == 2
