"""`fasterkan diagnose`: the report of the library, on the run's own data."""

from __future__ import annotations

import json

import pytest

import fasterkan as fk


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_report_is_the_librarys(call, trained, split):
    folder, _ = trained
    said = call("diagnose", folder, "--split", split, "--rows", 300, "--json")
    assert said.code == 0, said.err
    parts = dict(zip(("train", "validation", "test"), fk.data.train_validation_test("mnist"), strict=True))
    model = fk.from_pretrained(folder / "model")
    expected = fk.diagnose(model, parts[split], rows=300)
    assert json.loads(said.out) == json.loads(json.dumps(expected.to_dict()))
    assert call("diagnose", folder, "--split", split, "--rows", 300).out.splitlines() == str(expected).splitlines()


def test_a_model_without_a_run_needs_a_data_set(call, tmp_path):
    fk.KAN([784, 10]).save_pretrained(tmp_path)
    said = call("diagnose", tmp_path)
    assert (said.code, said.out) == (2, "")
    assert "name the data set: --data mnist" in said.err
    assert call("diagnose", tmp_path, "--data", "mnist", "--rows", 50).code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--split", "all"), "--split: unknown 'all'; known: train, validation, test"),
        (("--data", "minst"), "unknown dataset 'minst'; did you mean 'mnist'?"),
        (("--rows", "0"), "--rows"),
    ],
    ids=["split", "data", "rows"],
)
def test_bad_input_is_one_message(call, trained, words, message):
    said = call("diagnose", trained[0], *words)
    assert said.code == 2
    assert message in said.err
