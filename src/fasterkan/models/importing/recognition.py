"""Recognition of the project that wrote a file, by a name that only its state dicts have."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

_SIGNS = {
    "faster-kan": r"(faster_kan_)?layers\.\d+\.rbf\.inv_denominator$",
    "fast-kan": r"layers\.\d+\.base_linear\.weight$",
    "efficient-kan": r"layers\.\d+\.spline_weight$",
    "cheby-kan": r"(.*\.)?cheby_coeffs$",
    "torchkan": r"poly_weights\.\d+(\.weight)?$",
    "pykan": r"act_fun\.\d+\.coef$",
}


def project_of(names: Iterable[str]) -> str | None:
    """Return the source for `import_checkpoint` whose characteristic name is in a state dict."""
    listed = list(names)
    return next((source for source, sign in _SIGNS.items() if any(re.match(sign, name) for name in listed)), None)


def advice(path: Path, source: str) -> str:
    """Return a sentence that explains how a file of this source is imported."""
    if source != "pykan":
        return f"it looks like a file of {source}: import_checkpoint(path, source={source!r})"
    if path.name.endswith("_state"):
        prefix = str(path.with_name(path.name.removesuffix("_state")))
        return f"it looks like a file of pykan: import_checkpoint({prefix!r}, source='pykan')"
    return "it looks like a file of pykan: import_checkpoint(path, source='pykan'), path being what saveckpt was given"
