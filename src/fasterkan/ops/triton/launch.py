"""The launchers of the kernels: shapes of the blocks and buffers for the results; nothing waits for the device."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..norm_form import NormForm
from ..row_norms import PRESCALE
from .kernels import make_gradients, make_panel
from .table import Family

PANEL_VALUES = 8192
"""Values of phi that a program makes at once, in the forward."""

SEVERAL_ROWS = 2048
"""Values of phi in a block of several rows. It is small, so that small batches give many programs."""

ROW_VALUES = 16384
"""Values of phi in the longest row whose row norm is differentiated in the same kernel; the whole row is one block."""

WARPS_PER_PROCESSOR = 32
"""Warps of the backward for each multiprocessor; each program writes one row of partial sums."""

STAGES = 2
"""Blocks of rows that a program of the backward loads ahead."""


class Blocks(NamedTuple):
    """R rows, B features and C functions, all powers of two, and the warps for R * B * C values."""

    rows: int
    features: int
    functions: int
    warps: int

    @classmethod
    def of(
        cls, count: int, inputs: int, functions: int, family: Family, values: int, each: int, rows: int = 1
    ) -> Blocks:
        """Return blocks of at most `values` values: `rows` rows, as long as possible, and more rows if they are short.

        A thread computes `each` values, or 16 if they need many registers: if K is not a power of two, a thread has the
        features of all its values; tensors [I, K] are in registers too.
        """
        c = _power_of_two(functions)
        rows = min(_power_of_two(count), rows)
        b = max(1, min(_power_of_two(inputs), values // (rows * c)))
        r = max(rows, min(_power_of_two(count), SEVERAL_ROWS // (b * c)))
        each = 16 if family.heavy or functions != c or "IK" in family.shapes else each
        return cls(r, b, c, min(16, max(1, r * b * c // (32 * each))))


class Moments(NamedTuple):
    """Mean and inverse deviation of each row, scaled by PRESCALE, float32 [N]; None without a row norm."""

    mean: Tensor | None
    inverse: Tensor | None


def panel_of(
    x: Tensor,
    norm: NormForm | None,
    family: Family,
    tensors: tuple[Tensor, ...],
    functions: int,
    dtype: torch.dtype,
    *,
    keep_moments: bool,
) -> tuple[Tensor, Moments]:
    """Return phi(norm(x)) [N, I * K] in `dtype`, and the moments of the rows.

    Args:
        x: [N, I], contiguous.
        norm: the norm, or None.
        family: how the functions are computed.
        tensors: p and q of the family.
        functions: K.
        dtype: of the panel.
        keep_moments: return the moments, for the backward.
    """
    count, inputs = x.shape
    panel = torch.empty(count, inputs * functions, dtype=dtype, device=x.device)
    keep_moments = keep_moments and _is_row_norm(norm)
    moments = torch.empty(2, count, device=x.device) if keep_moments else None
    mean, inverse = (x, x) if moments is None else (moments[0], moments[1])
    if panel.numel():
        # The rows of a block share the tensors [I, K], which are as long as rows of the panel.
        rows = 8 if "IK" in family.shapes else 1
        blocks = Blocks.of(count, inputs, functions, family, PANEL_VALUES, 64, rows)
        gain, shift, kind, eps = _norm_arguments(norm, x)
        (p, q), strides = _family_arguments(tensors, family, x)
        with _on(x):
            make_panel[(-(-count // blocks.rows),)](
                x, gain, shift, p, q, panel, mean, inverse, count, inputs, eps, *strides,
                kind, shift is not x, keep_moments, family.value, family.value_constants, *family.shapes,
                functions, *blocks[:3], num_warps=blocks.warps,
            )  # fmt: skip
    return panel, Moments(mean, inverse) if keep_moments else Moments(None, None)


class Gradients(NamedTuple):
    """What `gradients_of` found; None for a gradient that was not needed."""

    x: Tensor | None
    gain: Tensor | None
    shift: Tensor | None
    p: Tensor | None
    q: Tensor | None


class Wanted(NamedTuple):
    """The gradients that are needed."""

    x: bool
    gain: bool
    shift: bool
    p: bool
    q: bool


def gradients_of(
    x: Tensor,
    norm: NormForm | None,
    moments: Moments,
    family: Family,
    tensors: tuple[Tensor, ...],
    functions: int,
    dpanel: Tensor,
    wanted: Wanted,
) -> Gradients:
    """Return the gradients that follow from that of the panel [N, I * K]; those of p and q in float64.

    If the row is too long for one block of a row norm (`fits`), the results are the gradients of z, as `x`, in float32,
    and of p and q only.
    """
    count, inputs = x.shape
    through = fits(norm, inputs, functions)
    values = ROW_VALUES if _is_row_norm(norm) and through else PANEL_VALUES
    blocks = Blocks.of(count, inputs, functions, family, values, 32)
    tiles = -(-inputs // blocks.features)
    programs = min(-(-count // blocks.rows), max(1, _programs(x, blocks) // tiles))
    affine = wanted.gain + wanted.shift if through else 0
    sums = torch.empty(affine, programs, inputs, device=x.device)
    dgain, dshift = (sums[0] if affine and wanted.gain else x), (sums[-1] if affine and wanted.shift else x)
    dp = _partial_sums(family.shapes[0], programs, tiles, inputs, functions, x) if wanted.p else x
    dq = _partial_sums(family.shapes[1], programs, tiles, inputs, functions, x) if wanted.q else x
    dx = torch.empty_like(x, dtype=x.dtype if through else torch.float32) if wanted.x or not through else x
    if dpanel.numel():
        gain, shift, kind, _ = _norm_arguments(norm, x)
        (p, q), strides = _family_arguments(tensors, family, x)
        mean, inverse = (x, x) if moments.mean is None else moments
        with _on(x):
            make_gradients[(programs, tiles)](
                x, gain, shift, p, q, mean, inverse, dpanel, dx, dgain, dshift, dp, dq, count, inputs, *strides,
                kind, shift is not x, through, family.slope, family.slope_constants, *family.shapes,
                dx is not x, dgain is not x, dshift is not x, dp is not x, dq is not x, STAGES,
                functions, *blocks[:3], num_warps=blocks.warps,
            )  # fmt: skip
    totals = sums.sum(1) if affine else sums
    return Gradients(
        None if dx is x else dx,
        None if dgain is x else totals[0],
        None if dshift is x else totals[-1],
        None if dp is x else dp.sum(0, dtype=torch.float64),
        None if dq is x else dq.sum(0, dtype=torch.float64),
    )


def fits(norm: NormForm | None, inputs: int, functions: int) -> bool:
    """Return whether one kernel differentiates basis and norm; only the block of a row norm must hold a whole row."""
    return not _is_row_norm(norm) or _power_of_two(inputs) * _power_of_two(functions) <= ROW_VALUES


def _is_row_norm(norm: NormForm | None) -> bool:
    return norm is not None and norm.kind != "feature"


def _norm_arguments(norm: NormForm | None, x: Tensor) -> tuple[Tensor, Tensor, str, float]:
    """Gain, shift, kind and scaled eps; x stands for a tensor that is not there."""
    if norm is None:
        return x, x, "", 0.0
    return norm.gain, x if norm.shift is None else norm.shift, norm.kind, norm.eps * PRESCALE**2


def _family_arguments(
    tensors: tuple[Tensor, ...], family: Family, x: Tensor
) -> tuple[tuple[Tensor, Tensor], tuple[int, int]]:
    """p and q, and their strides from feature to feature; x stands for a tensor that is not there."""
    if not tensors:
        return (x, x), (0, 0)
    p, q = tensors
    return (p, q), (p.stride(0) if "I" in family.shapes[0] else 0, q.stride(0) if "I" in family.shapes[1] else 0)


def _partial_sums(shape: str, programs: int, tiles: int, inputs: int, functions: int, x: Tensor) -> Tensor:
    """A buffer for a partial sum of each program."""
    sizes = {"1": (), "I": (inputs,), "K": (functions,), "IK": (inputs, functions)}[shape]
    return torch.empty(programs if "I" in shape else programs * tiles, *sizes, device=x.device)


def _on(x: Tensor) -> AbstractContextManager[Any]:
    """A context in which kernels run on x's device."""
    if not x.is_cuda or x.device.index == torch.cuda.current_device():
        return nullcontext()
    return torch.cuda.device(x.device)


def _programs(x: Tensor, blocks: Blocks) -> int:
    """The number of programs that fill x's device."""
    return WARPS_PER_PROCESSOR // blocks.warps * (_processors(x.device.index) if x.is_cuda else 1)


@lru_cache
def _processors(device: int) -> int:
    return int(torch.cuda.get_device_properties(device).multi_processor_count)


def _power_of_two(number: int) -> int:
    """The smallest power of two that is not below `number`, which is at least 1."""
    return 1 << (max(1, number) - 1).bit_length()
