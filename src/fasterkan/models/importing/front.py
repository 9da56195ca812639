"""Import of checkpoints of other projects: they are checked, and the models compute the same."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from ..._check import did_you_mean
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


@torch.inference_mode(False)
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

    The kind of model, its widths, channels, centres and knots are read from the file. Learned centres keep their
    positions, whatever their spacing. No code from the file is executed: it is read only with
    `torch.load(weights_only=True)`.

    | source | project | becomes |
    |---|---|---|
    | "faster-kan" | AthanasiosDelis/faster-kan | `FasterKAN`, `FasterKANvolver` |
    | "fast-kan" | ZiyaoLi/fast-kan | `KAN` as `FastKAN` makes it |
    | "efficient-kan" | Blealtan/efficient-kan | `KAN` as `EfficientKAN` makes it, with the knots of the file |
    | "cheby-kan" | SynodicMonth/ChebyKAN, layers one after the other | `KAN` as `ChebyKAN` makes it |
    | "torchkan" | 1ssb/torchkan, its KAL_Net and KANvolver | `KAN` as `KALNet` makes it, `KANvolver` |
    | "pykan" | KindXiaoming/pykan 0.2 | `KAN` as `PyKAN` makes it, with the knots of the file |

    Args:
        path: a state dict that `torch.save` (`.pt`, `.pth`) or safetensors (`.safetensors`) wrote. It may be under
            "state_dict", "model_state_dict" or "model", and may have the prefixes of DataParallel and torch.compile.
            For "faster-kan" it may also be a whole model from `torch.save(model, path)`. For "pykan" give the path that
            `model.saveckpt` was given.
        source: the project that wrote it.
        image_size: H = W, or (H, W), in pixels, of the images of a FasterKANvolver. A state dict does not contain it.
            Default: the size in a whole model, else 28.
        inv_denominator: 1/h, only for files without it. Versions before 17 May 2024 used it (1 / 0.33 unless another
            value was set) but did not save it. Later versions save it but always compute with 1.0, and so does the
            imported model.
        train_grid: whether further training learns the centres. A state dict does not contain it. Default: the value in
            a whole model, else False.
        train_inv_denominator: whether further training learns 1/h; default as for train_grid.
        base_activation: activation of the base branch for "fast-kan", "efficient-kan" and "torchkan", whose files do
            not contain it. Default as in these projects: "silu", and "relu" for a KANvolver.
        device: device of the model.

    Raises:
        CheckpointError: the file is missing or damaged, it would need pickle, or its names, shapes, dtypes or values
            are not those of a model of this source.
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
    hint = did_you_mean(str(source), IMPORTERS, cutoff=0.4)
    raise ValueError(f"{_NAME}: source {source!r} is unknown; {hint}known: {', '.join(IMPORTERS)}")


def _check_options(source: str, given: list[str]) -> None:
    """Raise ValueError for options that only other sources have."""
    users = {option: [s for s, f in IMPORTERS.items() if option in inspect.signature(f).parameters] for option in given}
    if foreign := [option for option in given if source not in users[option]]:
        *most, last = users[foreign[0]]
        sources = f"{', '.join(most)} and {last}" if most else last
        names = ", ".join(option for option in foreign if users[option] == users[foreign[0]])
        raise ValueError(f"{_NAME}: {names} is for {sources}, source is {source!r}; leave it out")
