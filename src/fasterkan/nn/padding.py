"""Padding of images whose channels come last: the widths on each side, and the mode."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal, get_args

import torch.nn.functional as F
from torch import Tensor

from .._check import whole_number

PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]


@dataclasses.dataclass(frozen=True)
class Padding:
    """The number of positions that are added before and after each spatial dimension, and how they are filled.

    Args:
        widths: (before, after) for each spatial dimension.
        mode: "zeros", "reflect", "replicate" or "circular".
    """

    widths: tuple[tuple[int, int], ...]
    mode: PaddingMode

    def __call__(self, x: Tensor) -> Tensor:
        """Return x [B, *S, C] padded, contiguous."""
        if not any(map(sum, self.widths)):
            return x.contiguous()
        flat = [width for pair in reversed(self.widths) for width in pair]
        if self.mode == "zeros":
            return F.pad(x, [0, 0, *flat]).contiguous()
        return F.pad(x.movedim(-1, 1), flat, mode=self.mode).movedim(1, -1).contiguous()

    def sizes(self, sizes: Sequence[int]) -> list[int]:
        """Return the spatial sizes after padding."""
        return [size + sum(pair) for size, pair in zip(sizes, self.widths, strict=True)]

    def complaint(self, sizes: Sequence[int]) -> str | None:
        """Return the reason why an image of these spatial sizes cannot be padded, or None if it can be padded."""
        widest = max(width for pair in self.widths for width in pair)
        limits = {"reflect": min(sizes) - 1, "circular": min(sizes), "replicate": widest if min(sizes) else 0}
        if self.mode == "zeros" or widest <= limits[self.mode]:
            return None
        return f'padding_mode="{self.mode}" cannot add {widest} positions, at most {max(0, limits[self.mode])}'


def resolve_padding(
    owner: str,
    padding: Any,
    mode: Any,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> Padding:
    """Return the widths for an int, a tuple, "same" or "valid", with the same meaning as in `nn.Conv2d`.

    Raises:
        TypeError, ValueError: the padding is none of these, or "same" is used with a stride.
    """
    if mode not in get_args(PaddingMode):
        raise ValueError(f"{owner}: padding_mode must be one of {', '.join(get_args(PaddingMode))}; got {mode!r}")
    if padding == "valid":
        return Padding(((0, 0),) * len(kernel), mode)
    if padding == "same":
        if any(s != 1 for s in stride):
            raise ValueError(f'{owner}: padding="same" needs stride 1, got {stride}; give the padding as numbers')
        spans = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        return Padding(tuple((span // 2, span - span // 2) for span in spans), mode)
    if isinstance(padding, str):
        raise ValueError(f'{owner}: padding must be numbers, "same" or "valid"; got {padding!r}')
    return Padding(tuple((p, p) for p in per_dimension(owner, "padding", padding, len(kernel), 0)), mode)


def per_dimension(owner: str, name: str, value: Any, count: int, minimum: int) -> tuple[int, ...]:
    """Return one whole number for each of `count` spatial dimensions; one number stands for all dimensions.

    Raises:
        TypeError, ValueError: there are numbers that are not whole, too few or too many numbers, or one below
            `minimum`.
    """
    if not isinstance(value, list | tuple):
        return (whole_number(owner, name, value, minimum),) * count
    if len(value) != count:
        raise ValueError(f"{owner}: {name} has {len(value)} numbers, expected {count} or one for all; got {value}")
    return tuple(whole_number(owner, f"{name}[{i}]", v, minimum) for i, v in enumerate(value))
