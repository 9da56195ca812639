"""From a basis to the kernels' functions for it: the one place that knows both."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, NamedTuple

from torch import Tensor

from ...bases import (
    RSWAF,
    Basis,
    BSpline,
    Chebyshev,
    Fourier,
    Gaussian,
    Gegenbauer,
    Hat,
    Hermite,
    Jacobi,
    Legendre,
    Monomial,
    Params,
    ReLUBump,
    Sine,
)
from .families import bumps, centred, polynomials, splines, waves


class Family(NamedTuple):
    """How the kernels compute a basis: its `triton.jit` functions, their constants, and the tensors that they read."""

    value: Any
    slope: Any
    value_constants: tuple[Any, ...] = ()
    slope_constants: tuple[Any, ...] = ()
    shapes: tuple[str, str] = ("", "")
    """The dimensions of p and q: "" (no tensor), "1", "I", "K" or "IK"."""
    learned: tuple[str, ...] = ()
    """The names of p and q, for which there are gradients; empty if there are none."""
    tensors: Callable[[Basis, Params], tuple[Tensor, ...]] = lambda basis, params: ()
    """Returns p and q; empty if there are none."""
    heavy: bool = False
    """Whether a value takes many instructions, as sines do."""


@lru_cache
def family_of(basis: Basis) -> Family | str:
    """Return how the kernels compute a basis, or the reason why they cannot."""
    make = _FAMILIES.get(type(basis))
    return f"there is no kernel for {type(basis).__name__}" if make is None else make(basis)


def _rswaf(basis: RSWAF) -> Family | str:
    if basis.exponent != 2:
        return "RSWAF has a kernel only for exponent=2"
    shapes = ("IK", "I") if basis.per_feature else ("K", "1")
    return _with(centred.rswaf, centred.rswaf_slope, shapes, ("grid", "inv_denominator"))


def _gaussian(basis: Gaussian) -> Family | str:
    shapes = ("IK", "I") if basis.per_feature else ("K", "1")
    return _with(centred.gaussian, centred.gaussian_slope, shapes, ("grid", "denominator"))


def _sine(basis: Sine) -> Family | str:
    shapes = ("IK" if basis.per_feature else "K", "IK")
    return _with(waves.sine, waves.sine_slope, shapes, ("frequency", "phase"))._replace(heavy=True)


def _relu_bump(basis: ReLUBump) -> Family | str:
    return _with(bumps.relu_bump, bumps.relu_bump_slope, ("IK", "IK"), ("start", "end"))


def _with(value: Any, slope: Any, shapes: tuple[str, str], names: tuple[str, str]) -> Family:
    """A family whose functions read two tensors, which can be learned."""
    p, q = names
    return Family(value, slope, shapes=shapes, learned=names, tensors=lambda basis, params: (params[p], params[q]))


def _spline(basis: BSpline | Hat) -> Family | str:
    intervals, degree, outside, pieces = basis._spline
    if pieces is None:
        return f"{type(basis).__name__} has a kernel only for a uniform grid and a degree above 0"
    constants = (intervals, degree, outside, _flat(piece for order in pieces for piece in order))
    shapes = ("I", "I") if basis.per_feature else ("1", "1")
    return Family(splines.spline, splines.spline_slope, constants, constants, shapes, tensors=_ends)


def _ends(basis: Basis, params: Params) -> tuple[Tensor, ...]:
    """The first and the last point of the grid, [] or [I]."""
    grid = basis.grid_of(params)
    assert grid is not None
    return grid[..., 0], grid[..., -1]


def _polynomial(basis: Chebyshev) -> Family | str:
    scales, steps = basis._slopes()
    start = (basis.domain or "", basis.degree)
    values, slopes = (*start, _flat(basis._steps())), (*start, _flat(steps), tuple(scales))
    return Family(polynomials.polynomial, polynomials.polynomial_slope, values, slopes)


def _fourier(basis: Fourier) -> Family | str:
    constants = (basis.num_frequencies,)
    return Family(waves.fourier, waves.fourier_slope, constants, constants, heavy=True)


def _flat(rows: Iterable[Iterable[float]]) -> tuple[float, ...]:
    return tuple(number for row in rows for number in row)


_FAMILIES: dict[type[Basis], Callable[[Any], Family | str]] = {
    RSWAF: _rswaf,
    Gaussian: _gaussian,
    BSpline: _spline,
    Hat: _spline,
    **dict.fromkeys((Chebyshev, Legendre, Hermite, Jacobi, Gegenbauer, Monomial), _polynomial),
    Fourier: _fourier,
    Sine: _sine,
    ReLUBump: _relu_bump,
}
"""Only these classes themselves: a subclass may compute something else."""
