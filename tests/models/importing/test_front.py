"""import_checkpoint, whatever the source: the outputs the originals gave, or one message."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import fasterkan as fk
from fasterkan import import_checkpoint

from .checkpoints import GOLDEN, filled, golden, peers, refused, without, write

SOURCES = ("fast-kan", "efficient-kan", "cheby-kan", "torchkan")
FILES = [(source, name) for source in SOURCES for name in peers.ORIGINALS[source][3]]
VOLVERS = [("torchkan", name) for name in peers.ORIGINALS["torchkan-kanvolver"][3]]
COMMITS = {
    "fast-kan": "17b65401c252334fffb5e63c9852dd8316d29e69",
    "efficient-kan": "7b6ce1c87f18c8bc90c208f6b494042344216b11",
    "cheby-kan": "5f7efdd18e749bcc99481bd87dc90bdeafb920d8",
    "torchkan": "9063e3c552cc02d952289a5951e313a0c4d0eed0",
    "torchkan-kanvolver": "9063e3c552cc02d952289a5951e313a0c4d0eed0",
    "rbf-kan": "4c8b420bccb094f0eb7595b9600d584efdf4d36c",
    "wav-kan": "f7ab5215e69b1a32e9e289159d2fd55d078fa051",
    "relu-kan": "79eab7a27392eb5f33e119710f0e75ec902764c0",
    "fourier-kan": "ef8079129dd08ce8fbe322b758ca29c8420819e4",
    "pykan": "0.2.8",
}


def test_golden_files_are_small_and_say_where_they_come_from() -> None:
    made = {name: source for source, original in peers.ORIGINALS.items() for name in original[3]}
    files = sorted(peers.HERE.iterdir())
    assert {file.name for file in files} == {f"{name}.safetensors" for name in made}
    assert sum(file.stat().st_size for file in files) < 150_000
    for name, source in made.items():
        golden = peers.read(name)
        repository, file, _, configurations = peers.ORIGINALS[source]
        assert golden.about["repository"] == repository
        assert (golden.about["commit"], golden.about["file"]) == (COMMITS[source], file)
        assert golden.arguments == configurations[name]


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize(("source", "name"), FILES + VOLVERS, ids=[name for _, name in FILES + VOLVERS])
def test_outputs_are_the_originals(source: str, name: str, suffix: str, tmp_path: Path) -> None:
    golden = peers.read(name)
    rng = torch.get_rng_state()
    net = import_checkpoint(write(tmp_path / f"a{suffix}", golden.state), source)
    assert torch.equal(torch.get_rng_state(), rng), "random numbers were drawn"
    assert not net.training
    got = net(golden.x)
    assert ((got - golden.y).abs().max() / golden.y.abs().max()).item() < 1e-5
    again = fk.from_pretrained(net.save_pretrained(tmp_path / "ours"))
    assert torch.equal(again(golden.x), got)


PRESET: dict[str, Callable[[], fk.KAN]] = {
    "fastkan-12-7-5": lambda: fk.FastKAN([12, 7, 5]),
    "fastkan-9-6-4-3": lambda: fk.FastKAN([9, 6, 4, 3], -1.0, 3.0, 5),
    "fastkan-8-4-no-base": lambda: fk.FastKAN([8, 4], num_grids=3, use_base_update=False),
    "efficient-12-7-5": lambda: fk.EfficientKAN([12, 7, 5]),
    "efficient-6-4-3-degree-2": lambda: fk.EfficientKAN([6, 4, 3], 8, 2, grid_range=[-2.0, 1.0]),
    "cheby-12-7-5-3": lambda: fk.ChebyKAN([12, 7, 5, 3]),
    "cheby-6-4-2": lambda: fk.ChebyKAN([6, 4, 2], 6, layernorm=False),
    "kal-12-7-5": lambda: fk.KALNet([12, 7, 5]),
    "kal-9-6-4-3": lambda: fk.KALNet([9, 6, 4, 3], 5),
}


@pytest.mark.parametrize("name", PRESET)
def test_an_import_is_what_the_preset_makes(name: str, tmp_path: Path) -> None:
    source, net = next(s for s, n in FILES if n == name), PRESET[name]()
    imported = import_checkpoint(write(tmp_path / "a.pt", peers.read(name).state), source)
    assert imported.to_config() == net.to_config()
    net.load_state_dict(imported.state_dict())


@pytest.mark.parametrize("source", ["fast-kan", "efficient-kan", "torchkan"])
def test_other_base_activations_are_said(source: str, tmp_path: Path) -> None:
    name = next(n for s, n in FILES if s == source)
    golden = peers.read(name)
    path = write(tmp_path / "a.pt", golden.state)
    silu, relu = import_checkpoint(path, source), import_checkpoint(path, source, base_activation="relu")
    assert (relu.base, silu.base) == ("relu", "silu")
    assert (relu(golden.x) - silu(golden.x)).abs().max() > 1e-3
    assert relu.after == (None if source != "torchkan" else "layernorm_relu")


@pytest.mark.parametrize(("source", "name"), FILES[::2], ids=[name for _, name in FILES[::2]])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_the_files_dtype_stays(source: str, name: str, dtype: torch.dtype, tmp_path: Path) -> None:
    golden = peers.read(name)
    state = {k: t.to(dtype) if t.is_floating_point() else t for k, t in golden.state.items()}
    net = import_checkpoint(write(tmp_path / "a.pt", {"state_dict": state}), source)
    assert {t.dtype for t in net.state_dict().values()} == {dtype}
    rough = 1e-5 if dtype == torch.float64 else 0.1
    torch.testing.assert_close(net(golden.x.to(dtype)).float(), golden.y, rtol=rough, atol=rough)


def test_device(tmp_path: Path) -> None:
    path = write(tmp_path / "a.pt", peers.read("kal-12-7-5").state)
    assert {t.device.type for t in import_checkpoint(path, "torchkan", device="meta").state_dict().values()} == {"meta"}
    volver = write(tmp_path / "b.pt", golden(GOLDEN / "volver-10.safetensors")[0])
    assert {t.device.type for t in import_checkpoint(volver, device="meta").state_dict().values()} == {"meta"}


@pytest.mark.parametrize(("source", "name"), FILES[::3], ids=[name for _, name in FILES[::3]])
def test_any_missing_extra_or_broken_tensor_is_refused(source: str, name: str, tmp_path: Path) -> None:
    state = peers.read(name).state
    for key in state:
        if key.endswith((".arange", ".spline_scaler")):  # not needed, or taken for 1
            continue
        refused(write(tmp_path / "a.pt", without(key)(state)), source)
        refused(write(tmp_path / "a.pt", filled(key, math.nan)(state)), source)
        refused(write(tmp_path / "a.pt", {**state, key: state[key].unsqueeze(0)}), source)
        refused(write(tmp_path / "a.pt", {**state, f"{key}.more": state[key]}), source)


@pytest.mark.parametrize("source", SOURCES)
def test_pickles_and_damaged_files(source: str, tmp_path: Path) -> None:
    assert "reading that means running code from the file" in refused(write(tmp_path / "m.pt", nn.Linear(2, 2)), source)
    (tmp_path / "p.pt").write_bytes(pickle.dumps({"a": 1}))
    assert refused(tmp_path / "p.pt", source).startswith("holds pickled Python objects")
    (tmp_path / "t.pt").write_bytes(write(tmp_path / "a.pt", {"a": torch.ones(3)}).read_bytes()[:100])
    assert "is not a complete file that torch.save wrote" in refused(tmp_path / "t.pt", source)
    assert refused(tmp_path / "none.pt", source) == "is missing"


@pytest.mark.parametrize(
    ("source", "options", "words"),
    [
        ("fast-kan", {"image_size": 28}, "image_size is for faster-kan, source is 'fast-kan'; leave it out"),
        (
            "pykan",
            {"train_grid": True, "inv_denominator": 1.0},
            "inv_denominator, train_grid is for faster-kan, source",
        ),
        (
            "cheby-kan",
            {"base_activation": "silu"},
            "base_activation is for fast-kan, efficient-kan and torchkan, source",
        ),
        (
            "faster-kan",
            {"base_activation": "silu"},
            "base_activation is for fast-kan, efficient-kan and torchkan, source",
        ),
    ],
    ids=["image_size", "two", "cheby", "faster"],
)
def test_arguments_of_other_sources(source: str, options: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError) as caught:
        import_checkpoint(tmp_path / "a.pt", source, **options)
    assert str(caught.value).startswith(f"import_checkpoint: {words}")


def test_unknown_activations(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"base must be None, a callable or one of .* got 'swish'"):
        import_checkpoint(tmp_path / "a.pt", "fast-kan", base_activation="swish")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("fasterkan", "source 'fasterkan' is unknown; did you mean 'faster-kan'? known: "),
        ("Faster_KAN", "source 'Faster_KAN' is unknown; did you mean 'faster-kan'? known: "),
        ("pytorch", "source 'pytorch' is unknown; did you mean 'torchkan'? known: "),
        (None, "source None is unknown; known: "),
    ],
)
def test_unknown_sources(source: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError) as caught:
        import_checkpoint(tmp_path / "a.pt", source)
    sources = "faster-kan, fast-kan, efficient-kan, cheby-kan, torchkan, pykan"
    assert str(caught.value) == f"import_checkpoint: {words}{sources}"


def test_a_state_dict_instead_of_a_file() -> None:
    with pytest.raises(
        TypeError, match=r"path must be the name of a file, got dict; write a state dict with torch\.save"
    ):
        import_checkpoint({"a": torch.zeros(1)})  # type: ignore[arg-type]
