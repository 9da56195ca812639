"""Checkpoints of other projects as models of this one: checked, and equal in what they compute."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

import torch

from ..._check import positive_number
from ...nn.base_branch import Base, resolve_base
from ..fasterkan import FasterKAN
from ..fasterkanvolver import FasterKANvolver
from ..kan import KAN
from ..kanvolver import KANvolver
from .cheby_kan import import_cheby_kan
from .faster_kan import OriginalState
from .files import read_tensors
from .pykan import import_pykan
from .splines import import_efficient_kan, import_fast_kan
from .state import ForeignState
from .torchkan import import_torchkan

SOURCES = ("faster-kan", "fast-kan", "efficient-kan", "cheby-kan", "torchkan", "pykan")
_HOLD = {
    "fast-kan": "FastKAN of fast-kan",
    "efficient-kan": "KAN of efficient-kan",
    "cheby-kan": "network of ChebyKANLayers",
    "torchkan": "KAL_Net of torchkan",
}
_NAME = "import_checkpoint"


def import_checkpoint(
    path: str | Path,
    source: str = "faster-kan",
    *,
    image_size: int | Sequence[int] | None = None,
    inv_denominator: float | None = None,
    train_grid: bool = False,
    train_inv_denominator: bool = False,
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
            "pykan" the path that `model.saveckpt` was given.
        source: the project that wrote it.
        image_size: H = W, or (H, W), in pixels, of the images that a FasterKANvolver shall take; the file does not
            tell. Default 28.
        inv_denominator: 1/h, only for a file that holds none: versions before 17 May 2024 used theirs (1 / 0.33 unless
            another was set), but did not save it. Later versions save one and compute with 1.0 whatever it is, and so
            does the imported model.
        train_grid: learn the centres when the model is trained on; the file does not tell.
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
    if source not in SOURCES:
        near = difflib.get_close_matches(str(source), SOURCES, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"{_NAME}: source {source!r} is unknown; {hint}known: {', '.join(SOURCES)}")
    only = {
        "faster-kan": {
            "image_size": image_size is not None,
            "inv_denominator": inv_denominator is not None,
            "train_grid": train_grid,
            "train_inv_denominator": train_inv_denominator,
        },
        "fast-kan, efficient-kan and torchkan": {"base_activation": base_activation is not None},
    }
    for sources, options in only.items():
        if (given := [name for name, on in options.items() if on]) and source not in sources.replace(",", "").split():
            raise ValueError(f"{_NAME}: {', '.join(given)} is for {sources}, source is {source!r}; leave it out")
    if source != "faster-kan":
        resolve_base(base_activation)
        return _import_peer(Path(path), source, base_activation).to(device)
    file = OriginalState(Path(path), read_tensors(Path(path)))
    file, inverse = _with_inverse(file, inv_denominator)
    trained = {"inv_denominator": inverse, "train_grid": train_grid, "train_inv_denominator": train_inv_denominator}
    model = _empty(file, image_size, **trained)
    state = file.convert(model)
    for name, tensor in state.items():
        if name.endswith("inv_denominator"):
            tensor.fill_(inverse)
    model.load_state_dict({name: tensor.to(device) for name, tensor in state.items()}, assign=True)
    return model.eval()


def _import_peer(path: Path, source: str, base_activation: Base) -> KAN | KANvolver:
    """The model in a checkpoint of one of the compared systems."""
    if source == "pykan":
        return import_pykan(path)
    file = ForeignState(path, read_tensors(path), _HOLD[source])
    if source == "cheby-kan":
        return import_cheby_kan(file)
    if source == "torchkan":
        return import_torchkan(file, base_activation)
    reader = import_fast_kan if source == "fast-kan" else import_efficient_kan
    return reader(file, "silu" if base_activation is None else base_activation)


def _with_inverse(file: OriginalState, given: float | None) -> tuple[OriginalState, float]:
    """Return the 1/h with which the original computed, and the file with one in every layer."""
    names = [f"{file.layers}.{n}.rbf.inv_denominator" for n in range(file.count)]
    if any(name in file.state for name in names):
        if given is not None:
            raise ValueError(
                f"{_NAME}: {file.path} holds {names[0]}, which the original ignored: it computed with 1.0; leave "
                "inv_denominator out"
            )
        return file, 1.0
    if given is None:
        raise file.error(
            "lacks rbf.inv_denominator, as files of before 17 May 2024 (and FastKAN's) do, so it does not tell 1/h; "
            f"give it: {_NAME}(path, inv_denominator=1 / 0.33) is that version's default"
        )
    inverse = positive_number(_NAME, "inv_denominator", given)
    added = {name: torch.ones((), dtype=next(iter(file.state.values())).dtype) for name in names}
    return OriginalState(file.path, {**file.state, **added}), inverse


def _empty(
    file: OriginalState, image_size: int | Sequence[int] | None, **trained: float | bool
) -> FasterKAN | FasterKANvolver:
    """The model in the file without its numbers, on the meta device."""
    arguments = {**file.arguments(), **trained}
    if not file.convolutional and image_size is not None:
        raise ValueError(f"{_NAME}: image_size is for a FasterKANvolver, {file.path} holds a FasterKAN")
    if file.convolutional:
        FasterKANvolver([1], image_size=image_size, device="meta")  # what it says against image_size is no file's fault
        arguments["image_size"] = image_size
    try:
        return (FasterKANvolver if file.convolutional else FasterKAN)(**arguments, device="meta")
    except ValueError as error:
        raise file.error(f"holds a model that cannot be used: {error}") from error
