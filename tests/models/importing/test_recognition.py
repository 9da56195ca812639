"""A file of another project than the one that was said: the error names the source to give."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import fasterkan as fk

from .checkpoints import GOLDEN, changed, golden, peers, refused, write

SOURCES = ("faster-kan", "fast-kan", "efficient-kan", "cheby-kan", "torchkan", "pykan")
FILES = [(source, name) for source in SOURCES[1:] for name in peers.ORIGINALS[source][3] if "no-base" not in name]
FILES += [("torchkan", name) for name in peers.ORIGINALS["torchkan-kanvolver"][3]]
ADVICE = "; it looks like a file of {0}: import_checkpoint(path, source='{0}')"


@pytest.mark.parametrize(("source", "name"), FILES, ids=[name for _, name in FILES])
def test_other_projects_are_named(source: str, name: str, tmp_path: Path) -> None:
    path = write(tmp_path / ("mark_state" if source == "pykan" else "a.pt"), peers.read(name).state)
    expected = ADVICE.format(source)
    if source == "pykan":
        expected = f"; it looks like a file of pykan: import_checkpoint('{tmp_path / 'mark'}', source='pykan')"
    for said in SOURCES:
        if said not in (source, "pykan"):
            assert refused(path, said).endswith(expected), said


@pytest.mark.parametrize("name", ["fasterkan-12-7-5", "volver-10"])
def test_the_original_is_named(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.pt", golden(GOLDEN / f"{name}.safetensors")[0])
    for said in SOURCES[1:-1]:
        assert refused(path, said).endswith(ADVICE.format("faster-kan")), said


def test_a_whole_message(tmp_path: Path) -> None:
    path = write(tmp_path / "eff.pt", peers.read("efficient-12-7-5").state)
    assert refused(path) == (
        "holds no FasterKAN or FasterKANvolver of faster-kan: its names are layers.0.base_weight, layers.0.grid, "
        "layers.0.spline_scaler, layers.0.spline_weight and 4 more, expected were some like "
        "layers.0.spline_linear.weight or faster_kan_layers.0.spline_linear.weight; it looks like a file of "
        "efficient-kan: import_checkpoint(path, source='efficient-kan')"
    )


def test_pykan_under_another_name(tmp_path: Path) -> None:
    path = write(tmp_path / "best.pt", peers.read("pykan-2-5-1").state)
    assert refused(path).endswith("import_checkpoint(path, source='pykan'), path being what saveckpt was given")


def test_what_is_no_projects_gets_no_advice(tmp_path: Path) -> None:
    strangers = (nn.Linear(2, 3).state_dict(), {})
    for state in (*strangers, changed(layers__0__gate=torch.ones(3))(peers.read("fastkan-12-7-5").state)):
        assert "looks like" not in refused(write(tmp_path / "a.pt", state), "fast-kan")


@pytest.mark.parametrize("net", [fk.FasterKAN([4, 3]), fk.KAN([4, 3], fk.BSpline())], ids=["fasterkan", "bspline"])
def test_a_state_dict_of_this_package_is_named(net: nn.Module, tmp_path: Path) -> None:
    path = write(tmp_path / "a.pt", net.state_dict())
    for said in SOURCES[:-1]:
        assert "it looks like a state dict of this package: make the same network" in refused(path, said)


@pytest.mark.parametrize("prefix", ["kan.", "model.head_2."])
@pytest.mark.parametrize(("source", "name"), [FILES[0], FILES[2]], ids=["fast", "efficient"])
def test_a_network_inside_a_larger_model_is_named_with_its_prefix(
    prefix: str, source: str, name: str, tmp_path: Path
) -> None:
    inside = {f"{prefix}{key}": tensor for key, tensor in peers.read(name).state.items()}
    path = write(tmp_path / "a.pt", {"stem.weight": torch.ones(3), **inside})
    advice = (
        f"; its names that begin with {prefix!r} look like a file of {source}: save these tensors alone, without "
        f"{prefix!r}, then import_checkpoint(path, source={source!r})"
    )
    for said in SOURCES[:-1]:
        assert refused(path, said).endswith(advice), said


def test_what_saveckpt_was_given_is_named(tmp_path: Path) -> None:
    golden_, path = peers.read("pykan-2-5-1"), tmp_path / "pk_plain"
    write(tmp_path / "pk_plain_state", golden_.state)
    assert refused(path) == "is missing"
    (tmp_path / "pk_plain_config.yml").write_text(golden_.about["config.yml"])
    expected = f"is missing; it looks like a file of pykan: import_checkpoint({str(path)!r}, source='pykan')"
    for said in SOURCES[:-1]:
        assert refused(path, said) == expected
