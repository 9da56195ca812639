"""Reading files of other projects: usual forms are read, nothing is run, and one message says what is wrong."""

from __future__ import annotations

import pickle
import random
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors
import safetensors.torch
import torch
from torch import nn

from fasterkan import CheckpointError, import_checkpoint

from .checkpoints import GOLDEN, State, Touch, as_legacy, as_zip, changed, golden, refused, write


@pytest.fixture
def state() -> State:
    return golden(GOLDEN / "fasterkan-12-7-5.safetensors")[0]


WRAPPED: dict[str, Callable[[State], Any]] = {
    "ordered": OrderedDict,
    "state_dict": lambda s: {"state_dict": s, "epoch": 3, "optimizer": {"lr": 0.1}},
    "model_state_dict": lambda s: {"epoch": torch.tensor(3), "model_state_dict": s},
    "model": lambda s: {"model": s},
    "model-state_dict": lambda s: {"model": {"state_dict": s}},
    "module": lambda s: {f"module.{name}": t for name, t in s.items()},
    "compiled-module": lambda s: {"model": {f"module._orig_mod.{name}": t for name, t in s.items()}},
    "parameters": lambda s: {name: nn.Parameter(t) for name, t in s.items()},
    "transposed": lambda s: {name: t.t().contiguous().t() if t.dim() == 2 else t for name, t in s.items()},
    "one-storage": lambda s: flat(s),
}


def flat(state: State) -> State:
    """The tensors as views of one storage."""
    parts = torch.cat([t.flatten() for t in state.values()]).split([t.numel() for t in state.values()])
    return {name: part.view(t.shape) for (name, t), part in zip(state.items(), parts, strict=True)}


@pytest.mark.parametrize("name", WRAPPED)
def test_usual_wrappings(name: str, tmp_path: Path) -> None:
    state, x, y, _, _ = golden(GOLDEN / "fasterkan-12-7-5.safetensors")
    net = import_checkpoint(str(write(tmp_path / "a.pth", WRAPPED[name](state))))
    torch.testing.assert_close(net(x), y, rtol=1e-5, atol=1e-6)
    pointers = [t.untyped_storage().data_ptr() for t in net.state_dict().values()]
    assert len(set(pointers)) == len(pointers)


def test_legacy_format(state: State, tmp_path: Path) -> None:
    torch.save(state, tmp_path / "a.pt", _use_new_zipfile_serialization=False)
    assert import_checkpoint(tmp_path / "a.pt").layers_hidden == (12, 7, 5)


@pytest.mark.parametrize("forced", [False, True], ids=["", "with-the-variable-that-turns-weights_only-off"])
@pytest.mark.parametrize(
    "pickled",
    [as_zip, as_legacy, pickle.dumps, lambda c: pickle.dumps(c, 2)],
    ids=["zip", "legacy", "plain", "plain-2"],
)
@pytest.mark.parametrize("inside", [False, True], ids=["alone", "beside-the-weights"])
def test_code_in_a_pickle_is_not_run(
    pickled: Callable[[Any], bytes],
    inside: bool,
    forced: bool,
    state: State,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trap = tmp_path / "executed"
    path = tmp_path / "a.pt"
    path.write_bytes(pickled({**state, "extra": Touch(trap)} if inside else Touch(trap)))
    if forced:
        monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    refused(path)
    assert not trap.exists()
    with path.open("rb") as file:  # the trap works where it is stepped into
        if pickled is as_zip:
            torch.load(file, weights_only=False)
            assert trap.exists()


def test_a_whole_pickled_model_is_refused_with_the_reason_and_the_remedy(tmp_path: Path) -> None:
    path = write(tmp_path / "a.pt", nn.Linear(3, 2))
    assert refused(path) == (
        "holds the Python object torch.nn.modules.linear.Linear: reading that means running code from the "
        "file, so it is refused. If you trust it, load the model beside the project that made it and save only its "
        'tensors: torch.save(model.state_dict(), "weights.pt")'
    )
    path.write_bytes(pickle.dumps({"a": 1}))
    assert refused(path).startswith("holds pickled Python objects: reading that means running code from the")


def test_no_file(tmp_path: Path) -> None:
    assert refused(tmp_path / "a.pt") == "is missing"
    assert refused(tmp_path) == "is a folder; those of save_pretrained are for fk.from_pretrained"


@pytest.mark.parametrize("suffix", [".pt", ".safetensors", ""])
@pytest.mark.parametrize(
    "data", [b"", b"\n", b"hello world", b"\x89PNG\r\n\x1a\n" + bytes(100), b"PK\x03\x04" + bytes(50), bytes(1000)]
)
def test_files_that_are_something_else(data: bytes, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(data)
    kind = "safetensors file" if suffix == ".safetensors" else "file that torch.save wrote"
    message = refused(path)
    assert message.startswith(f"({len(data)} bytes) is not a complete {kind}: ")
    assert message.endswith("; copy it again")


@pytest.mark.parametrize("form", [as_zip, as_legacy, safetensors.torch.save], ids=["zip", "legacy", "safetensors"])
def test_truncated_files(form: Callable[[Any], bytes], state: State, tmp_path: Path) -> None:
    data = form(state)
    path = tmp_path / ("a.safetensors" if form is safetensors.torch.save else "a.pt")
    lengths = random.Random(0)
    for _ in range(30):
        path.write_bytes(data[: lengths.randrange(len(data))])
        assert "is not a complete" in refused(path)


@pytest.mark.parametrize("form", [as_zip, as_legacy, safetensors.torch.save], ids=["zip", "legacy", "safetensors"])
def test_altered_files_are_read_or_refused(form: Callable[[Any], bytes], state: State, tmp_path: Path) -> None:
    """There is no checksum in them: what still is a state dict of finite numbers is read."""
    data, path = form(state), tmp_path / ("a.safetensors" if form is safetensors.torch.save else "a.pt")
    places, refusals = random.Random(0), 0
    for _ in range(150):
        altered = bytearray(data)
        altered[places.randrange(len(data))] = places.randrange(256)
        path.write_bytes(altered)
        try:
            assert import_checkpoint(path).layers_hidden == (12, 7, 5)
        except CheckpointError:
            refusals += 1
    assert refusals > 5


HOSTILE: dict[str, tuple[Callable[[State], Any], str]] = {
    "list": (lambda s: list(s.values()), "holds a list, a state dict was expected. If you trust it, load the model"),
    "number": (lambda s: 3, "holds a int, a state dict was expected"),
    "text": (
        lambda s: {**s, "note": "best"},
        "is not a state dict: under 'note' lies a str, a tensor was expected; a state dict may also lie under "
        "'state_dict', 'model_state_dict', 'model'",
    ),
    "numbered": (lambda s: {1: s}, "is not a state dict: under 1 lies a dict, a tensor was expected"),
    "unusual-wrapper": (lambda s: {"net": s}, "is not a state dict: under 'net' lies a dict, a tensor was expected"),
    "expanded": (
        changed(layers__0__layernorm__weight=torch.ones(1).expand(10**12)),
        "has 5",
    ),
    "sparse": (
        changed(layers__0__spline_linear__weight=torch.ones(7, 48).to_sparse()),
        "holds layers.0.spline_linear.weight, which is not a plain dense tensor (torch.sparse_coo, torch.float32)",
    ),
    "meta": (
        changed(layers__0__rbf__grid=torch.ones(4, device="meta")),
        "holds layers.0.rbf.grid, which is not a plain dense tensor",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_contents_that_are_no_state_dict(name: str, state: State, tmp_path: Path) -> None:
    make_content, words = HOSTILE[name]
    assert refused(write(tmp_path / "a.pt", make_content(state))).startswith(words)
