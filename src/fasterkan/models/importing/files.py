"""Reading the tensors of files that other projects wrote, without running anything in them."""

from __future__ import annotations

import io
import pickle
import re
import struct
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from ..pretrained import CheckpointError

_WRAPPERS = ("state_dict", "model_state_dict", "model")
_PREFIXES = ("module.", "_orig_mod.")
"""What DataParallel and torch.compile put before every name."""
_UNREADABLE = (
    *(pickle.UnpicklingError, SafetensorError, struct.error, EOFError, OSError, MemoryError),
    *(RuntimeError, ValueError, LookupError, TypeError, AttributeError, AssertionError, ArithmeticError),
)
"""What the readers raise for damaged files."""
_REMEDY = (
    "If you trust it, load the model beside the project that made it and save its tensors alone: "
    'torch.save(model.state_dict(), "weights.pt")'
)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the state dict in a `.safetensors` file, or in any other file as `torch.save` writes it, on the CPU.

    It may lie under "state_dict", "model_state_dict" or "model", with the prefixes of DataParallel and torch.compile.

    Raises:
        CheckpointError: there is no file, it is damaged or needs pickle, or it holds something else.
    """
    if not path.is_file():
        found = "a folder; those of save_pretrained are for fk.from_pretrained" if path.is_dir() else "missing"
        raise CheckpointError(f"{path} is {found}")
    data = path.read_bytes()
    state = _state_dict(path, _read(path, data))
    if (size := sum(t.numel() * t.element_size() for t in state.values())) > len(data):
        raise CheckpointError(
            f"{path} has {len(data)} bytes, its tensors claim {size}: they are packed or expanded. {_REMEDY}"
        )
    return state


def _read(path: Path, data: bytes) -> Any:
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load(data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about pickle protocols, in files that are none of torch's
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        if found := _needs_pickle(error, data):
            raise CheckpointError(
                f"{path} holds {found}: reading that means running code from the file, so it is refused. {_REMEDY}"
            ) from error
        kind = "safetensors file" if path.suffix == ".safetensors" else "file that torch.save wrote"
        reason = str(error).partition("\n")[0][:200] or "the file ends too early"
        raise CheckpointError(
            f"{path} ({len(data)} bytes) is no whole {kind}: {type(error).__name__}, {reason}; copy it again"
        ) from error


def _needs_pickle(error: Exception, data: bytes) -> str | None:
    """Name what only pickle could load, None where the file is damaged instead."""
    if not isinstance(error, pickle.UnpicklingError):
        return None
    if found := re.search(r"GLOBAL (\S+)", str(error)):
        return f"the Python object {found[1]}"
    return "pickled Python objects" if data[:1] == b"\x80" and data[1:2] in (b"\x03", b"\x04", b"\x05") else None


def _state_dict(path: Path, content: Any) -> dict[str, Tensor]:
    for _ in _WRAPPERS:
        if isinstance(content, Mapping):
            content = next((content[key] for key in _WRAPPERS if isinstance(content.get(key), Mapping)), content)
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path} holds a {type(content).__name__}, a state dict was expected. {_REMEDY}")
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise CheckpointError(
                f"{path} is no state dict: under {name!r} lies a {type(value).__name__}, a tensor was expected; a "
                f"state dict may also lie under {', '.join(map(repr, _WRAPPERS))}"
            )
        if value.layout != torch.strided or value.is_quantized or value.is_meta or type(value.detach()) is not Tensor:
            raise CheckpointError(
                f"{path} holds {name}, which is no plain dense tensor ({value.layout}, {value.dtype})"
            )
    state = {name: value.detach() for name, value in content.items()}
    while prefix := next((p for p in _PREFIXES if state and all(name.startswith(p) for name in state)), None):
        state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state
