"""The kernels: norm and basis of a layer in one pass over x, and their gradients in one pass over the panel's.

The panel is phi(norm(x)) [N, I * K], the left operand of the product with the weight [O, I * K]. All numbers are
computed in float32, whatever the dtypes of the tensors.

A family of functions is a pair of `triton.jit` functions (`families/`). Here z [R, B, 1] is a block of rows and
features, and k [1, 1, C] are the numbers of the functions. p and q are the family's tensors, [1, B or 1, C or 1].

    value(z, p, q, k, constants) -> phi [R, B, C]
    slope(z, p, q, k, dphi, constants) -> terms of dz (their sum over k), of dp and of dq, each [R, B, C]
"""

from __future__ import annotations

import triton
import triton.language as tl

from ..row_norms import PRESCALE as _PRESCALE

PRESCALE = tl.constexpr(_PRESCALE)


@triton.jit
def make_panel(
    x_ptr,  # [N, I]
    gain_ptr,  # [I]
    shift_ptr,  # [I]
    p_ptr,
    q_ptr,
    panel_ptr,  # [N, I * K]
    mean_ptr,  # [N], scaled by PRESCALE
    inverse_ptr,  # [N]
    N,
    I,
    eps,  # scaled by PRESCALE^2
    p_stride,
    q_stride,
    norm: tl.constexpr,  # "layer", "rms", "feature" or ""
    shifted: tl.constexpr,
    keeps_moments: tl.constexpr,
    value: tl.constexpr,
    constants: tl.constexpr,
    p_shape: tl.constexpr,
    q_shape: tl.constexpr,
    K: tl.constexpr,
    R: tl.constexpr,
    B: tl.constexpr,
    C: tl.constexpr,
):
    """Write the panel of R rows, B features at a time, and the moments of the rows."""
    rows = (tl.program_id(0) * R + tl.arange(0, R)).to(tl.int64)
    in_rows = rows < N
    mean = tl.zeros([R], tl.float32)
    inverse = tl.zeros([R], tl.float32)
    if norm == "layer" or norm == "rms":
        mean, inverse = _moments(x_ptr, rows, in_rows, I, eps, norm, R, B)
        if keeps_moments:
            tl.store(mean_ptr + rows, mean, mask=in_rows)
            tl.store(inverse_ptr + rows, inverse, mask=in_rows)
    k = tl.arange(0, C)[None, None, :]
    for first in range(0, I, B):
        columns = first + tl.arange(0, B)
        in_columns = columns < I
        inside = in_rows[:, None] & in_columns[None, :]
        x = _block(x_ptr, rows, columns, inside, I)
        gain, shift = _affine(gain_ptr, shift_ptr, columns, in_columns, norm, shifted)
        z, _ = _normalised(x, mean, inverse, gain, shift, norm)
        p = _tensor(p_ptr, columns, k, in_columns, p_stride, p_shape, K)
        q = _tensor(q_ptr, columns, k, in_columns, q_stride, q_shape, K)
        phi = value(z[:, :, None], p, q, k, constants)
        place = panel_ptr + rows[:, None, None] * (I * K) + (columns * K)[None, :, None] + k
        tl.store(place, phi.to(panel_ptr.dtype.element_ty), mask=inside[:, :, None] & (k < K))


@triton.jit
def make_gradients(
    x_ptr,  # [N, I]
    gain_ptr,  # [I]
    shift_ptr,  # [I]
    p_ptr,
    q_ptr,
    mean_ptr,  # [N], scaled by PRESCALE
    inverse_ptr,  # [N]
    dpanel_ptr,  # [N, I * K]
    dx_ptr,  # [N, I]
    dgain_ptr,  # [programs, I]
    dshift_ptr,  # [programs, I]
    dp_ptr,  # [programs, ...]
    dq_ptr,  # [programs, ...]
    N,
    I,
    p_stride,
    q_stride,
    norm: tl.constexpr,  # "layer", "rms", "feature" or ""
    shifted: tl.constexpr,
    through: tl.constexpr,  # dx is the gradient of x; else it is that of z
    slope: tl.constexpr,
    constants: tl.constexpr,
    p_shape: tl.constexpr,
    q_shape: tl.constexpr,
    needs_x: tl.constexpr,
    needs_gain: tl.constexpr,
    needs_shift: tl.constexpr,
    needs_p: tl.constexpr,
    needs_q: tl.constexpr,
    stages: tl.constexpr,
    K: tl.constexpr,
    R: tl.constexpr,
    B: tl.constexpr,
    C: tl.constexpr,
):
    """Write dx for B features of every P-th block of R rows, and the sums over these rows for the other gradients."""
    program = tl.program_id(0)
    columns = tl.program_id(1) * B + tl.arange(0, B)
    in_columns = columns < I
    k = tl.arange(0, C)[None, None, :]
    gain, shift = _affine(gain_ptr, shift_ptr, columns, in_columns, norm, shifted)
    p = _tensor(p_ptr, columns, k, in_columns, p_stride, p_shape, K)
    q = _tensor(q_ptr, columns, k, in_columns, q_stride, q_shape, K)
    dgain = tl.zeros([B], tl.float32)
    dshift = tl.zeros([B], tl.float32)
    dp = _zeros(p_shape, B, C)
    dq = _zeros(q_shape, B, C)
    for block in tl.range(program, tl.cdiv(N, R), tl.num_programs(0), num_stages=stages):
        rows = (block * R + tl.arange(0, R)).to(tl.int64)
        in_rows = rows < N
        inside = in_rows[:, None] & in_columns[None, :]
        mean = tl.zeros([R], tl.float32)
        inverse = tl.zeros([R], tl.float32)
        if norm == "layer" or norm == "rms":
            mean = tl.load(mean_ptr + rows, mask=in_rows, other=0.0)
            inverse = tl.load(inverse_ptr + rows, mask=in_rows, other=0.0)
        x = _block(x_ptr, rows, columns, inside, I)
        z, unit = _normalised(x, mean, inverse, gain, shift, norm)
        place = dpanel_ptr + rows[:, None, None] * (I * K) + (columns * K)[None, :, None] + k
        dphi = tl.load(place, mask=inside[:, :, None] & (k < K), other=0.0).to(tl.float32)
        dz_terms, dp_terms, dq_terms = slope(z[:, :, None], p, q, k, dphi, constants)
        dz = tl.where(inside, tl.sum(dz_terms, 2), 0.0)
        if needs_gain:
            dgain += tl.sum(dz * unit, 0)
        if needs_shift:
            dshift += tl.sum(dz, 0)
        if needs_p:
            dp += _sum_to(dp_terms, p_shape)
        if needs_q:
            dq += _sum_to(dq_terms, q_shape)
        if needs_x:
            dx = _input_gradient(dz, unit, inverse, gain, I, norm) if through else dz
            tl.store(dx_ptr + rows[:, None] * I + columns[None, :], dx.to(dx_ptr.dtype.element_ty), mask=inside)
    if needs_gain:
        tl.store(dgain_ptr + program * I + columns, dgain, mask=in_columns)
    if needs_shift:
        tl.store(dshift_ptr + program * I + columns, dshift, mask=in_columns)
    if needs_p:
        _store(dp_ptr, dp, columns, in_columns, I, p_shape, K, B, C)
    if needs_q:
        _store(dq_ptr, dq, columns, in_columns, I, q_shape, K, B, C)


@triton.jit
def _block(x_ptr, rows, columns, inside, I):
    return tl.load(x_ptr + rows[:, None] * I + columns[None, :], mask=inside, other=0.0).to(tl.float32)


@triton.jit
def _moments(x_ptr, rows, in_rows, I, eps, norm: tl.constexpr, R: tl.constexpr, B: tl.constexpr):
    """The mean of each row and the inverse of its deviation, of x scaled by PRESCALE; the mean of "rms" is 0."""
    total = tl.zeros([R], tl.float32)
    if norm == "layer":
        for first in range(0, I, B):
            columns = first + tl.arange(0, B)
            inside = in_rows[:, None] & (columns < I)[None, :]
            total += tl.sum(_block(x_ptr, rows, columns, inside, I) * PRESCALE, 1)
    mean = total / I
    squares = tl.zeros([R], tl.float32)
    for first in range(0, I, B):
        columns = first + tl.arange(0, B)
        inside = in_rows[:, None] & (columns < I)[None, :]
        centred = tl.where(inside, _block(x_ptr, rows, columns, inside, I) * PRESCALE - mean[:, None], 0.0)
        squares += tl.sum(centred * centred, 1)
    return mean, 1.0 / tl.sqrt_rn(squares / I + eps)


@triton.jit
def _affine(gain_ptr, shift_ptr, columns, in_columns, norm: tl.constexpr, shifted: tl.constexpr):
    """Gain and shift of the norm, each [1, B]."""
    gain = tl.zeros(columns.shape, tl.float32) + 1.0
    shift = tl.zeros(columns.shape, tl.float32)
    if norm != "":
        gain = tl.load(gain_ptr + columns, mask=in_columns, other=0.0).to(tl.float32)
        if shifted:
            shift = tl.load(shift_ptr + columns, mask=in_columns, other=0.0).to(tl.float32)
    return gain[None, :], shift[None, :]


@triton.jit
def _normalised(x, mean, inverse, gain, shift, norm: tl.constexpr):
    """z, and the row before gain and shift, both [R, B]."""
    if norm == "feature":
        return (x - shift) * gain, x
    elif norm == "":
        return x, x
    else:
        unit = (x * PRESCALE - mean[:, None]) * inverse[:, None]
        return unit * gain + shift, unit


@triton.jit
def _input_gradient(dz, unit, inverse, gain, I, norm: tl.constexpr):
    """The gradient of x from that of z, [R, B]; a row norm needs the whole row."""
    dunit = dz * gain
    if norm == "feature" or norm == "":
        return dunit
    else:
        along = unit * (tl.sum(dunit * unit, 1) / I)[:, None]
        if norm == "layer":
            along += (tl.sum(dunit, 1) / I)[:, None]
        return (dunit - along) * (inverse * PRESCALE)[:, None]


@triton.jit
def _tensor(ptr, columns, k, in_columns, stride, shape: tl.constexpr, K: tl.constexpr):
    """A tensor of the family as [1, B or 1, C or 1]; outside it is 1, for which every family is finite."""
    features = columns[None, :, None].to(tl.int64)
    exists = in_columns[None, :, None]
    if shape == "IK":
        return tl.load(ptr + features * stride + k, mask=exists & (k < K), other=1.0).to(tl.float32)
    elif shape == "I":
        return tl.load(ptr + features * stride, mask=exists, other=1.0).to(tl.float32)
    elif shape == "K":
        return tl.load(ptr + k, mask=k < K, other=1.0).to(tl.float32)
    elif shape == "1":
        return tl.load(ptr + tl.zeros([1, 1, 1], tl.int32)).to(tl.float32)
    else:
        return tl.zeros([1, 1, 1], tl.float32)


@triton.jit
def _zeros(shape: tl.constexpr, B: tl.constexpr, C: tl.constexpr):
    if shape == "IK":
        return tl.zeros([B, C], tl.float32)
    elif shape == "I":
        return tl.zeros([B], tl.float32)
    elif shape == "K":
        return tl.zeros([C], tl.float32)
    else:
        return tl.zeros([1], tl.float32)


@triton.jit
def _sum_to(terms, shape: tl.constexpr):
    """The sum of terms [R, B, C] over all dimensions that a tensor of the family does not have."""
    over_rows = tl.sum(terms, 0)
    if shape == "IK":
        return over_rows
    elif shape == "I":
        return tl.sum(over_rows, 1)
    elif shape == "K":
        return tl.sum(over_rows, 0)
    else:
        return tl.sum(tl.sum(over_rows, 1), 0)


@triton.jit
def _store(ptr, total, columns, in_columns, I, shape: tl.constexpr, K: tl.constexpr, B: tl.constexpr, C: tl.constexpr):
    """Store the sums of a program: [programs, I, K], [programs, I], [programs * blocks, K] or [programs * blocks]."""
    program = tl.program_id(0)
    part = program * tl.num_programs(1) + tl.program_id(1)
    k = tl.arange(0, C)
    if shape == "IK":
        place = (program.to(tl.int64) * I + columns)[:, None] * K + k[None, :]
        tl.store(ptr + place, total, mask=in_columns[:, None] & (k < K)[None, :])
    elif shape == "I":
        tl.store(ptr + program * I + columns, total, mask=in_columns)
    elif shape == "K":
        tl.store(ptr + part * K + k, total, mask=k < K)
    else:
        tl.store(ptr + part + tl.arange(0, 1), total)
