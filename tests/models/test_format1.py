"""Folders that fasterkan 0.1.0 wrote in format 1 are read, give what they gave, and are written again in format 2."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
import safetensors.torch
import torch

import fasterkan as fk

GOLDEN = Path(__file__).parent / "golden" / "format1"
NAMES = sorted(path.stem for path in GOLDEN.glob("*.zip"))


@pytest.fixture
def folder(name: str, tmp_path: Path) -> Path:
    with zipfile.ZipFile(GOLDEN / f"{name}.zip") as archive:
        archive.extractall(tmp_path / name)
    return tmp_path / name


def test_each_model_class_has_one() -> None:
    classes = set()
    for path in GOLDEN.glob("*.zip"):
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
        assert (config["format"], config["fasterkan_version"]) == (1, "0.1.0")
        classes.add(config["model"])
    assert classes == {"KAN", "FasterKAN", "FasterKANvolver", "KANvolver", "ResKANNet", "MLP"}
    assert len(NAMES) == 15


@pytest.mark.parametrize("name", NAMES)
def test_outputs_are_those_of_then(name: str, folder: Path) -> None:
    expected = safetensors.torch.load_file(folder / "expected.safetensors")
    model = fk.from_pretrained(folder)
    tight = 1e-12 if expected["y"].dtype == torch.float64 else 1e-5
    torch.testing.assert_close(model(expected["x"]), expected["y"], rtol=tight, atol=tight)


@pytest.mark.parametrize("name", NAMES)
def test_saved_again_in_the_format_of_today(name: str, folder: Path, tmp_path: Path) -> None:
    model = fk.from_pretrained(folder)
    again = fk.from_pretrained(model.save_pretrained(tmp_path / "again"))
    assert json.loads((tmp_path / "again" / "config.json").read_text())["format"] == 2
    assert again.to_config() == model.to_config()
    for (key, ours), theirs in zip(again.state_dict().items(), model.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs), key


@pytest.mark.parametrize(
    ("name", "widths", "kept", "masked"),
    [("KAN-pruned", (4, 3, 1), [0, 1, 3], True), ("KAN-moved-grid", (3, 3, 1), None, False)],
)
def test_what_the_layers_are(name: str, widths: tuple, kept: list[int] | None, masked: bool, folder: Path) -> None:
    net = fk.from_pretrained(folder)
    assert net.layers_hidden == widths
    assert (None if net.kept_inputs is None else net.kept_inputs.tolist()) == kept
    assert (net.layers[0].mask is not None) == masked


@pytest.mark.parametrize("name", ["KAN-pruned"])
def test_a_file_without_its_columns_is_refused(name: str, folder: Path) -> None:
    state = safetensors.torch.load_file(folder / "model.safetensors")
    del state["kept_inputs"]
    data = safetensors.torch.save(state)
    (folder / "model.safetensors").write_bytes(data)
    config = json.loads((folder / "config.json").read_text())
    config["weights_sha256"] = fk.models.pretrained.sha256_of(data)
    rest = {key: value for key, value in config.items() if key != "config_sha256"}
    config["config_sha256"] = fk.models.pretrained.sha256_of(json.dumps(rest, sort_keys=True).encode())
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(fk.CheckpointError, match="does not describe a KAN: 'kept_inputs' is missing"):
        fk.from_pretrained(folder)
