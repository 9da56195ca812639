"""Recognition of the project that wrote a file, by a name that only its state dicts have."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from .pykan_files import prefix_of

_OURS = "fasterkan"
_SIGNS = {
    "faster-kan": r"(faster_kan_)?layers\.\d+\.rbf\.inv_denominator$",
    "fast-kan": r"layers\.\d+\.base_linear\.weight$",
    "efficient-kan": r"layers\.\d+\.spline_weight$",
    "cheby-kan": r"(.*\.)?cheby_coeffs$",
    "torchkan": r"poly_weights\.\d+(\.weight)?$",
    "pykan": r"act_fun\.\d+\.coef$",
    _OURS: r"layers\.\d+\.(inv_denominator|knots)$",
}


class Found(NamedTuple):
    """What the names in a state dict look like.

    Attributes:
        source: the source for `import_checkpoint`; "fasterkan" for a state dict of this package.
        prefix: what stands before every name of the network, such as "kan.", in a larger model.
    """

    source: str
    prefix: str


def project_of(names: Iterable[str]) -> Found | None:
    """Return the project whose characteristic name is in a state dict, and the prefix of that name."""
    listed = list(names)
    for source, sign in _SIGNS.items():
        found = [match[1] for name in listed if (match := re.match(rf"((?:\w+\.)*?){sign}", name))]
        if found:
            return Found(source, min(found, key=len))
    return None


def advice(path: Path, found: Found) -> str:
    """Return a sentence that explains how a file that looks like this is imported."""
    source, prefix = found
    if source == _OURS:
        return (
            "it looks like a state dict of this package: make the same network and call its load_state_dict; "
            "net.save_pretrained(folder) and fk.from_pretrained(folder) need no network"
        )
    if prefix:
        return (
            f"its names that begin with {prefix!r} look like a file of {source}: save these tensors alone, without "
            f"{prefix!r}, then import_checkpoint(path, source={source!r})"
        )
    if source != "pykan":
        return f"it looks like a file of {source}: import_checkpoint(path, source={source!r})"
    if prefix_of(path) != path:
        return of_pykan(path)
    return "it looks like a file of pykan: import_checkpoint(path, source='pykan'), path being what saveckpt was given"


def of_pykan(path: Path) -> str:
    """Return a sentence that explains how the checkpoint of pykan with this path is imported."""
    return f"it looks like a file of pykan: import_checkpoint({str(prefix_of(path))!r}, source='pykan')"
