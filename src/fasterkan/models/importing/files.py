"""Reading the tensors of files of other projects, without running code from the files."""

from __future__ import annotations

import io
import pickle
import re
import struct
import threading
import warnings
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from .._namesake import ELSEWHERE
from ..pretrained import CheckpointError
from .pykan_files import missing_of, prefix_of
from .recognition import of_pykan
from .whole_models import STAND_INS, StandIn, names_their_classes, state_of

_WRAPPERS = ("state_dict", "model_state_dict", "model")
_PREFIXES = ("module.", "_orig_mod.")
"""The prefixes that DataParallel and torch.compile put before every name."""
_UNREADABLE = (
    *(pickle.UnpicklingError, SafetensorError, struct.error, EOFError, OSError, MemoryError),
    *(RuntimeError, ValueError, LookupError, TypeError, AttributeError, AssertionError, ArithmeticError),
)
"""The exceptions that the readers raise for damaged files."""
_REMEDY = (
    "If you trust it, load the model beside the project that made it and save only its tensors: "
    'torch.save(model.state_dict(), "weights.pt")'
)
_OURS = (
    'It is a model of this package: if you trust it, load it as pickles are loaded; model.save_pretrained("folder") '
    "then makes a folder for fk.from_pretrained"
)
_STAND_INS_LOCK = threading.Lock()
"""Needed because torch stores its trusted names in one place for all threads."""


class Contents(NamedTuple):
    """The contents of a file.

    Attributes:
        tensors: the state dict, on the CPU.
        attributes: other attributes of a whole pickled model, such as "view", by dotted names.
        learned: which tensors of a whole pickled model need gradients.
    """

    tensors: dict[str, Tensor]
    attributes: dict[str, Any]
    learned: frozenset[str]


def read_file(path: Path) -> Contents:
    """Return the contents of a `.safetensors` file, or of a file that `torch.save` wrote.

    The state dict may be under "state_dict", "model_state_dict" or "model", with the prefixes of DataParallel and
    torch.compile. Instead of a state dict there may be a whole model of the original FasterKAN.

    Raises:
        CheckpointError: the file is missing or damaged, needs pickle, or holds something else.
    """
    if not path.is_file():
        found = "a folder; those of save_pretrained are for fk.from_pretrained" if path.is_dir() else "missing"
        raise CheckpointError(f"{path} is {found}{'' if missing_of(prefix_of(path)) else f'; {of_pykan(path)}'}")
    data = path.read_bytes()
    contents = _contents(path, _read(path, data))
    if (size := sum(t.numel() * t.element_size() for t in contents.tensors.values())) > len(data):
        raise CheckpointError(
            f"{path} has {len(data)} bytes, its tensors claim {size}: they are packed or expanded. {_REMEDY}"
        )
    return contents


def _read(path: Path, data: bytes) -> Any:
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load(data)
        if not names_their_classes(data):
            return _load(data)
        with _STAND_INS_LOCK, torch.serialization.safe_globals(STAND_INS):
            return _load(data)
    except _UNREADABLE as error:
        if found := _needs_pickle(error, data):
            raise CheckpointError(
                f"{path} holds {found}: reading that means running code from the file, so it is refused. "
                f"{_remedy(data)}"
            ) from error
        kind = "safetensors file" if path.suffix == ".safetensors" else "file that torch.save wrote"
        told = re.search(r"WeightsUnpickler error:\s*(.+)", str(error))
        reason = (told[1] if told else str(error).partition("\n")[0])[:200] or "the file ends too early"
        raise CheckpointError(
            f"{path} ({len(data)} bytes) is not a complete {kind}: {type(error).__name__}, {reason}; copy it again"
        ) from error


def _load(data: bytes) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about pickle protocols, in files that are none of torch's
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)


def _remedy(data: bytes) -> str:
    """Return advice how to get the tensors of a pickle; it depends on the classes in the pickle."""
    if b"fasterkan.models" in data or b"fasterkan.bases" in data:
        return _OURS
    if b"fasterkan.fasterkan" in data:
        return f"If you trust it, {ELSEWHERE}"
    return _REMEDY


def _needs_pickle(error: Exception, data: bytes) -> str | None:
    """Return what only pickle could load, or None if the file is damaged."""
    if not isinstance(error, pickle.UnpicklingError):
        return None
    if found := re.search(r"GLOBAL (\S+)", str(error)):
        return f"the Python object {found[1]}"
    if "persistent_load of storage" in str(error):
        return "a whole model, in torch's format of before version 1.6"
    return "pickled Python objects" if data[:1] == b"\x80" and data[1:2] in (b"\x03", b"\x04", b"\x05") else None


def _contents(path: Path, content: Any) -> Contents:
    for _ in _WRAPPERS:
        if isinstance(content, Mapping):
            found = (content[key] for key in _WRAPPERS if isinstance(content.get(key), Mapping | StandIn))
            content = next(found, content)
    attributes: dict[str, Any] = {}
    whole = isinstance(content, StandIn)
    if isinstance(content, StandIn):
        content, attributes = state_of(path, content)
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path} holds a {type(content).__name__}, a state dict was expected. {_REMEDY}")
    _check_tensors(path, content)
    prefix = _prefix(content)
    return Contents(
        {name.removeprefix(prefix): tensor.detach() for name, tensor in content.items()},
        {name.removeprefix(prefix): value for name, value in attributes.items() if name.startswith(prefix)},
        frozenset(name.removeprefix(prefix) for name, tensor in content.items() if whole and tensor.requires_grad),
    )


def _check_tensors(path: Path, content: Mapping[Any, Any]) -> None:
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            kind = "whole model" if isinstance(value, StandIn) else type(value).__name__
            raise CheckpointError(
                f"{path} is not a state dict: under {name!r} lies a {kind}, a tensor was expected; a "
                f"state dict may also lie under {', '.join(map(repr, _WRAPPERS))}"
            )
        if value.layout != torch.strided or value.is_quantized or value.is_meta or type(value.detach()) is not Tensor:
            raise CheckpointError(
                f"{path} holds {name}, which is not a plain dense tensor ({value.layout}, {value.dtype})"
            )


def _prefix(names: Collection[str]) -> str:
    """The prefix that DataParallel and torch.compile put before all names."""
    prefix = ""
    while more := next((p for p in _PREFIXES if names and all(n.startswith(prefix + p) for n in names)), None):
        prefix += more
    return prefix
