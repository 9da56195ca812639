"""`fasterkan info`: numbers counted by hand."""

from __future__ import annotations

import json

import pytest
import torch

import fasterkan as fk


def about(call, folder):
    said = call("info", folder, "--json")
    assert said.code == 0, said.err
    return json.loads(said.out)


def test_the_originals_network(call, tmp_path):
    found = about(call, fk.FasterKAN([784, 256, 10], num_grids=4).save_pretrained(tmp_path))
    assert found["parameters"] == {"weights": 813_056, "grid": 10, "norms": 2_080, "bias": 0, "base": 0}
    assert found["trainable"] == 815_136
    assert found["whole"] == 815_146  # with 2 x 4 centres and 2 widths
    assert found["edges"] == 784 * 256 + 256 * 10
    assert found["memory_bytes"] == 4 * 815_146
    assert found["disk_bytes"] == sum(file.stat().st_size for file in tmp_path.iterdir())
    assert (found["model"], found["layers"], found["dtype"]) == ("FasterKAN", [784, 256, 10], "float32")
    assert (found["config"], found["result"]) == (None, None)
    assert found["versions"]["saved with fasterkan"] == found["versions"]["fasterkan"] == fk.__version__
    assert found["versions"]["torch"] == torch.__version__


def test_base_bias_feature_norm_and_learned_grid(call, tmp_path):
    model = fk.KAN([3, 5, 2], fk.RSWAF(num_grids=6, train_grid=True), norm="feature", base="silu", dtype=torch.float64)
    model.calibrate(torch.rand(20, 3, dtype=torch.float64))
    found = about(call, model.save_pretrained(tmp_path))
    assert found["parameters"] == {
        "weights": (3 * 5 + 5 * 2) * 6,
        "grid": 2 * (6 + 1),
        "norms": 4 * (3 + 5) + 2,  # centre and scale of each feature, also for the base branch; a status of each layer
        "bias": 5 + 2,
        "base": 3 * 5 + 5 * 2,
    }
    assert found["trainable"] == 150 + 12 + 7 + 25
    assert found["memory_bytes"] == 8 * (150 + 14 + 32 + 7 + 25) + 2
    assert (found["base"], found["dtype"]) == ("silu", "float64")


def test_text_of_a_run(call, trained):
    folder, _ = trained
    result = json.loads((folder / "result.json").read_text())
    lines = call("info", folder).out.splitlines()
    shown = {line[:12].strip(): line[12:] for line in lines}
    assert shown["model"] == "FasterKAN [784, 10]"
    assert shown["basis"].startswith("RSWAF(num_grids=2, grid_range=(-1.2, 1.2), inv_denominator=1.0")
    assert shown["edges"] == "7,840"
    assert shown["parameters"] == "weights 15,680, grid 3, norms 1,568, bias 0, base 0"
    assert shown["trainable"] == "17,248"
    assert shown["whole"] == "17,251 (all stored values, also those not learned)"
    assert shown["memory"].startswith("0.07 MiB, on disk 0.07 MiB")
    assert shown["trained on"] == "mnist, 2 epochs, seed 0"
    assert shown["accuracy"].startswith(f"test {100 * result['test_accuracy']:.2f} %, validation ")


def test_a_run_without_a_result(call, tmp_path, trained):
    folder, _ = trained
    for name in ("config.json", "metrics.jsonl"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    fk.from_pretrained(folder / "model").save_pretrained(tmp_path / "model")
    assert about(call, tmp_path)["result"] is None
    assert "accuracy" not in call("info", tmp_path).out


@pytest.mark.parametrize("command", ["info", "eval"])
def test_bad_input(call, tmp_path, trained, command):
    said = call(command, tmp_path / "nowhere")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"error: {tmp_path / 'nowhere'} is not a folder; give one that `fasterkan train` or")
    said = call(command, tmp_path)
    assert said.code == 2
    assert said.err.startswith(f"error: {tmp_path / 'config.json'} is missing")
    fk.from_pretrained(trained[0] / "model").save_pretrained(tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    said = call(command, tmp_path, *(("--dataset", "mnist") if command == "eval" else ()))
    assert said.code == 2
    assert str(weights) in said.err
    assert len(said.err.splitlines()) == 1
