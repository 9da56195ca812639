"""Checkpoints of other projects as models of this one: checked, and equal in what they compute."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from ...nn.base_branch import Base, resolve_base
from ..fasterkanvolver import FasterKANvolver
from ..kan import KAN
from ..kanvolver import KANvolver
from .cheby_kan import import_cheby_kan
from .efficient_kan import import_efficient_kan
from .fast_kan import import_fast_kan
from .faster_kan import import_faster_kan
from .pykan import import_pykan
from .torchkan import import_torchkan

IMPORTERS: dict[str, Callable[..., KAN | FasterKANvolver | KANvolver]] = {
    "faster-kan": import_faster_kan,
    "fast-kan": import_fast_kan,
    "efficient-kan": import_efficient_kan,
    "cheby-kan": import_cheby_kan,
    "torchkan": import_torchkan,
    "pykan": import_pykan,
}
_NAME = "import_checkpoint"


def import_checkpoint(
    path: str | Path,
    source: str = "faster-kan",
    *,
    image_size: int | Sequence[int] | None = None,
    inv_denominator: float | None = None,
    train_grid: bool | None = None,
    train_inv_denominator: bool | None = None,
    base_activation: Base = None,
    device: torch.device | str = "cpu",
) -> KAN | FasterKANvolver | KANvolver:
    """Return the model in a checkpoint of another project, in eval mode and in the file's dtype.

    Which model it is, its widths, channels, centres and knots are read from the file. Learned centres stay where they
    are, whatever their spacing. Nothing in the file is executed: `torch.load(weights_only=True)`, and no other way.

    | source | project | becomes |
    |---|---|---|
    | "faster-kan" | AthanasiosDelis/faster-kan | `FasterKAN`, `FasterKANvolver` |
    | "fast-kan" | ZiyaoLi/fast-kan | `KAN` as `FastKAN` makes it |
    | "efficient-kan" | Blealtan/efficient-kan | `KAN` as `EfficientKAN` makes it, with the knots of the file |
    | "cheby-kan" | SynodicMonth/ChebyKAN, layers one after the other | `KAN` as `ChebyKAN` makes it |
    | "torchkan" | 1ssb/torchkan, its KAL_Net and KANvolver | `KAN` as `KALNet` makes it, `KANvolver` |
    | "pykan" | KindXiaoming/pykan 0.2 | `KAN` as `PyKAN` makes it, with the knots of the file |

    Args:
        path: a state dict as `torch.save` (`.pt`, `.pth`) or safetensors (`.safetensors`) wrote it, also under
            "state_dict", "model_state_dict" or "model", or with the prefixes of DataParallel and torch.compile. For
            "faster-kan" also a whole model as `torch.save(model, path)` wrote it; for "pykan" the path that
            `model.saveckpt` was given.
        source: the project that wrote it.
        image_size: H = W, or (H, W), in pixels, of the images that a FasterKANvolver shall take; a state dict does
            not tell. Default what a whole model tells, else 28.
        inv_denominator: 1/h, only for a file that holds none: versions before 17 May 2024 used theirs (1 / 0.33 unless
            another was set), but did not save it. Later versions save one and compute with 1.0 whatever it is, and so
            does the imported model.
        train_grid: learn the centres when the model is trained on; a state dict does not tell. Default what a whole
            model tells, else False.
        train_inv_denominator: learn 1/h, likewise.
        base_activation: of "fast-kan", "efficient-kan" and "torchkan", whose files do not tell; default "silu", for a
            KANvolver "relu", as theirs.
        device: where the model goes.

    Raises:
        CheckpointError: there is no file, it is damaged or would need pickle, or names, shapes, dtypes or values are
            not those of a model of this source.
        TypeError, ValueError: the source is unknown; an argument does not suit it or the file.

    Source: A. Delis, FasterKAN (2024), and the projects of the table.
    """
    if not isinstance(path, str | Path):
        raise TypeError(
            f"{_NAME}: path must be the name of a file, got {type(path).__name__}; write a state dict with torch.save "
            "first"
        )
    importer = _importer(source)
    resolve_base(base_activation)
    options = {
        "image_size": image_size,
        "inv_denominator": inv_denominator,
        "train_grid": train_grid,
        "train_inv_denominator": train_inv_denominator,
        "base_activation": base_activation,
    }
    given = {name: value for name, value in options.items() if value is not None}
    _check_options(source, [name for name, value in given.items() if value is not False])
    own = inspect.signature(importer).parameters
    return importer(Path(path), **{name: value for name, value in given.items() if name in own}).to(device)


def _importer(source: str) -> Callable[..., KAN | FasterKANvolver | KANvolver]:
    if source in IMPORTERS:
        return IMPORTERS[source]
    near = difflib.get_close_matches(str(source), IMPORTERS, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ValueError(f"{_NAME}: source {source!r} is unknown; {hint}known: {', '.join(IMPORTERS)}")


def _check_options(source: str, given: list[str]) -> None:
    """Raise for options that only other sources have."""
    users = {option: [s for s, f in IMPORTERS.items() if option in inspect.signature(f).parameters] for option in given}
    if foreign := [option for option in given if source not in users[option]]:
        *most, last = users[foreign[0]]
        sources = f"{', '.join(most)} and {last}" if most else last
        names = ", ".join(option for option in foreign if users[option] == users[foreign[0]])
        raise ValueError(f"{_NAME}: {names} is for {sources}, source is {source!r}; leave it out")
