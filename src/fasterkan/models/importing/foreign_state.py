"""A state dict of another project: each tensor must be present, finite, of the right shape, and used."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from ..pretrained import CheckpointError, Pretrained
from .files import read_file
from .recognition import advice, project_of

M = TypeVar("M", bound=Pretrained)
_DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


class ForeignState:
    """The tensors in the file at `path`, and which of them were taken; every method raises CheckpointError.

    Args:
        path: a file for `read_file`; every message names it.
        source: the source that was given to `import_checkpoint`.
        what: the expected contents, such as "FastKAN of fast-kan".
    """

    def __init__(self, path: Path, source: str, what: str) -> None:
        self.path, self.source, self.what = path, source, what
        self.state, self.attributes, self.learned = read_file(path)
        self.dtype: torch.dtype | None = None
        self._taken: set[str] = set()

    def count(self, pattern: str, example: str) -> int:
        """Return how many different numbers the group of `pattern` has among the names: 0, 1, 2, ...

        Args:
            pattern: a regular expression that matches the start of a name, with one group.
            example: a name that would have matched, for the message.
        """
        found = {int(match[1]) for name in self.state if (match := re.match(pattern, name))}
        if not found:
            raise self.holds_none(example)
        if found != set(range(len(found))):
            raise self.error(f"lacks a layer: it has the numbers {sorted(found)[:8]} in names like {example}")
        return len(found)

    def __contains__(self, name: str) -> bool:
        return name in self.state

    def take(self, name: str, *shape: int | None) -> Tensor:
        """Return a copy of a tensor that is present, finite, of this shape (None: any size) and of the common dtype.

        Args:
            name: its name in the file.
            shape: the expected sizes.
        """
        if name not in self.state:
            raise self._lacks(name)
        tensor = self.state[name]
        got = tuple(tensor.shape)
        fits = len(got) == len(shape) and all(want in (None, size) for size, want in zip(got, shape, strict=True))
        if not fits or not tensor.numel():
            wanted = tuple("any" if size is None else size for size in shape)
            raise self.error(f"is not a {self.what}: {name} has shape {_shown(got)}, expected {_shown(wanted)}")
        if tensor.dtype not in _DTYPES or tensor.dtype != (self.dtype or tensor.dtype):
            expected = str(self.dtype or "float64, float32, bfloat16 or float16").removeprefix("torch.")
            raise self.error(f"holds {tensor.dtype} numbers in {name}, expected {expected}")
        if not bool(torch.isfinite(tensor).all()):
            raise self.error(f"holds NaN or infinity in {name}; use an earlier checkpoint")
        self.dtype = tensor.dtype
        self._taken.add(name)
        return tensor.clone(memory_format=torch.contiguous_format)

    def take_count(self, name: str) -> Tensor:
        """Return a copy of a whole number, which must be present and not negative.

        Args:
            name: its name in the file.
        """
        if name not in self.state:
            raise self._lacks(name)
        tensor = self.state[name]
        if tensor.dtype != torch.int64 or tensor.dim() or tensor < 0:
            raise self.error(
                f"is not a {self.what}: {name} is {tensor.dtype} {_shown(tuple(tensor.shape))}, expected a whole number"
            )
        self._taken.add(name)
        return tensor.clone()

    def ignore(self, name: str) -> None:
        """Count a name as taken, whether it exists or not."""
        self._taken.add(name)

    def close(self) -> None:
        """Raise CheckpointError if a name was not taken."""
        if left := set(self.state) - self._taken:
            raise self.error(f"holds more than a {self.what}: {_few(left)}{self._advice()}")

    def holds_none(self, example: str) -> CheckpointError:
        """Return the error that the file does not hold such a model; `example` is a name that it would have."""
        return self.error(
            f"holds no {self.what}: its names are {_few(self.state)}, expected were some like {example}{self._advice()}"
        )

    def error(self, words: str) -> CheckpointError:
        """Return an error with the path of the file and `words`."""
        return CheckpointError(f"{self.path} {words}")

    def _lacks(self, name: str) -> CheckpointError:
        return self.error(f"lacks {name}; it has {_few(self.state)}{self._advice()}")

    def _advice(self) -> str:
        """Advice about the right source, if the names belong to another one."""
        found = project_of(self.state)
        return "" if found is None or found == (self.source, "") else f"; {advice(self.path, found)}"


def _few(names: Iterable[str]) -> str:
    """The first four names in order, and the number of the others."""
    listed = sorted(names)
    more = f" and {len(listed) - 4} more" if len(listed) > 4 else ""
    return (", ".join(listed[:4]) or "none") + more


def _shown(shape: tuple[int | str, ...]) -> str:
    return f"({', '.join(map(str, shape))})"


def build(file: ForeignState, state: Mapping[str, Tensor], model: type[M], **arguments: Any) -> M:
    """Return `model(**arguments)` with the tensors of `state`; all names must be taken, and no random number is drawn.

    Args:
        file: the source of the tensors, for messages; it is closed.
        state: every tensor of the model by our name, in the model's shape.
        model: the class: KAN, or another one.
        arguments: arguments of the class.
    """
    file.close()
    try:
        net = model(**arguments, device="meta", dtype=file.dtype)
    except ValueError as error:
        raise file.error(f"holds a model that cannot be used: {error}") from error
    wanted = {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()}
    got = {name: tuple(tensor.shape) for name, tensor in state.items()}
    assert wanted == got, (wanted, got)
    net.load_state_dict(dict(state), assign=True)
    return net.eval()
