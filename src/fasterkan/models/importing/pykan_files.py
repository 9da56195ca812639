"""The files of a pykan checkpoint: their names, and the settings in its configuration, of which nothing is executed."""

from __future__ import annotations

import re
from pathlib import Path

from ...nn.base_branch import Base
from ..presets.splines import PYKAN_BASES
from ..pretrained import CheckpointError

_ENDS = ("_config.yml", "_state", "_cache_data")
_SCALAR = re.compile(r"^([A-Za-z_]\w*):[ \t]+(\S.*?)[ \t]*$", re.M)
_PYTHON = re.compile(r"!!python/(?:object|name):(\S+)(?:[ \t]+'')?$")
_TORCHS: dict[str, Base] = {
    "torch.nn.modules.activation.SiLU": "silu",
    "torch.nn.modules.activation.ReLU": "relu",
    "torch.nn.modules.activation.Tanh": "tanh",
    "torch.nn.modules.linear.Identity": "identity",
    "torch.nn.functional.silu": "silu",
    "torch.nn.functional.relu": "relu",
    "torch.nn.functional.tanh": "tanh",
    "torch.relu": "relu",
    "torch.tanh": "tanh",
    "torch._C._nn.gelu": "gelu",
    "kan.MultKAN.%3Clambda%3E": None,
}
"""Functions by the names that pykan's YAML has for them. The only lambda of kan.MultKAN is the base function "zero"."""
_GELU = "torch.nn.modules.activation.GELU"


def prefix_of(path: Path) -> Path:
    """Return what `model.saveckpt` was given: `path`, or `path` without the ending of one of the files it wrote."""
    ends = [end for end in _ENDS if path.name.endswith(end) and path.name != end]
    return path.with_name(path.name.removesuffix(ends[0])) if ends and missing_of(path) else path


def missing_of(prefix: Path) -> list[str]:
    """Return the names of the files that are not there."""
    return [file.name for file in files_of(prefix) if not file.is_file()]


def files_of(prefix: Path) -> tuple[Path, Path]:
    """Return the paths of the configuration and of the state dict."""
    config, state = (prefix.with_name(f"{prefix.name}{end}") for end in _ENDS[:2])
    return config, state


def read_settings(path: Path) -> tuple[Base, dict[str, str]]:
    """Return the base function, and the entries of the configuration that are one plain word.

    `prune_input` of pykan 0.2 writes the base function as a Python object. Its class or name is looked up in a table;
    nothing is imported or executed.

    Raises:
        CheckpointError: the file is not text, or the base function is not known here.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path} is not a text file: {error}; copy it again") from error
    settings = dict(_SCALAR.findall(text))
    return _base(path, settings.get("base_fun_name"), text), settings


def _base(path: Path, said: str | None, text: str) -> Base:
    if said in PYKAN_BASES:
        return PYKAN_BASES[said]
    if found := _PYTHON.match(said or ""):
        if found[1] in _TORCHS:
            return _TORCHS[found[1]]
        exact = re.search(r"^base_fun_name:.*\n(?:[ \t].*\n)*?[ \t]+approximate:[ \t]+none[ \t]*$", text, re.M)
        if found[1] == _GELU and exact:
            return "gelu"
    known = ", ".join(map(repr, PYKAN_BASES))
    raise CheckpointError(
        f"{path} says base_fun_name is {said!r}, expected one of {known}, or SiLU, ReLU, Tanh, GELU (approximate: "
        "none) or Identity of torch"
    )
