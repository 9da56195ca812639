"""What the tests of imports share: the originals' files, ways to write and to spoil them, and what is refused."""

from __future__ import annotations

import importlib.util
import io
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from fasterkan import CheckpointError, import_checkpoint

GOLDEN = Path(__file__).parent.parent / "golden"
State = dict[str, Tensor]


def script(name: str) -> ModuleType:
    """One of the scripts that wrote the golden files."""
    spec = importlib.util.spec_from_file_location(f"golden_{name}", GOLDEN / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make, peers = script("make"), script("make_peers")


def golden(file: Path) -> tuple[State, Tensor, Tensor, dict[str, Any], dict[str, Any]]:
    """The original's state dict, inputs, outputs and arguments, and what the import must be told beside the file."""
    with safetensors.safe_open(file, "pt") as opened:
        about, tensors = opened.metadata(), {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    arguments = json.loads(about["arguments"])
    if "view" not in arguments:
        state = {name.removeprefix("state."): t for name, t in tensors.items() if name.startswith("state.")}
        return state, tensors["x"], tensors["y"], arguments, {}
    shapes = {name: tuple(shape) for name, shape in json.loads(about["shapes"]).items()}
    ends = arguments.get("grid_min", -1.2), arguments.get("grid_max", 0.2)
    state = make.formula_state(shapes, *ends)
    return state, tensors["x"], tensors["y"], arguments, {"image_size": arguments["view"][2:]}


def write(path: Path, content: Any) -> Path:
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(content, path)
    else:
        torch.save(content, path)
    return path


class Touch:
    """What an attacker pickles: reading it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def as_zip(content: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def as_legacy(content: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def refused(path: Path, source: str = "faster-kan", **options: Any) -> str:
    """What is said against a file, without its path."""
    with pytest.raises(CheckpointError) as caught:
        import_checkpoint(path, source, **options)
    message = str(caught.value)
    assert message.startswith(f"{path} ")
    assert "\n" not in message
    return message.removeprefix(f"{path} ")


def changed(**tensors: Any) -> Callable[[State], Any]:
    """Another state with these tensors; __ in a name stands for a dot."""
    return lambda state: {**state, **{name.replace("__", "."): t for name, t in tensors.items()}}


def without(*names: str) -> Callable[[State], Any]:
    return lambda state: {name: t for name, t in state.items() if name not in names}


def filled(name: str, value: float) -> Callable[[State], Any]:
    return lambda state: {**state, name: torch.full_like(state[name], value)}
