"""The common part of B-splines and hats: only the few functions that are not zero at a point are computed."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ._base import Basis, Params
from ._mirrored import MIRRORED, mirrored_slope, mirrored_values
from ._spline import Cells, Outside, Pieces, cardinal, free_cells, free_pieces, reach, uniform_cells, uniform_pieces

_SMALL = 10
"""Largest K for which every function is computed at every z, from `benchmarks/spline_forms.py`."""


class Spline(NamedTuple):
    """The form in which a family of B-splines is evaluated."""

    intervals: int
    degree: int
    outside: Outside
    pieces: tuple[Pieces, Pieces] | None
    """Polynomials of the functions and of their derivatives for uniform knots; with None the recursion is used."""


def spline(intervals: int, degree: int, outside: Outside, uniform: bool) -> Spline:
    """Return the form of evaluation, with the polynomials for uniform knots."""
    return Spline(intervals, degree, outside, (cardinal(degree, 0), cardinal(degree, 1)) if uniform else None)


class _LocalSpline(Basis):
    """A basis of the B-splines of degree P on G intervals: K = G + P functions, P + 1 of which are not zero at a point.

    A family sets `_spline` in its constructor and defines its knots; everything else is defined here.
    """

    support: ClassVar[Literal["global", "compact"]] = "compact"
    _spline: Spline

    @abstractmethod
    def _knots(self, params: Params) -> Tensor:
        """The extended knots, [G+1+2P] or [I, G+1+2P]."""

    @property
    def num_basis(self) -> int:
        return self._spline.intervals + self._spline.degree

    def local(self, z: Tensor, params: Params) -> tuple[Tensor, Tensor, Tensor]:
        knots = self._knots(params)
        cells = self._cells(z, knots)
        index, exists = self._slots(cells)
        slope = self._slopes(cells, knots, exists) * self._rate(knots).unsqueeze(-1)
        return index, self._values(cells, knots, exists), slope

    def evaluate(self, z: Tensor, params: Params) -> Tensor:
        knots = self._knots(params)
        cells = self._cells(z, knots)
        index, exists = self._slots(cells)
        return self._spread(cells, index, self._values(cells, knots, exists))

    def derivative(self, z: Tensor, params: Params) -> Tensor:
        knots = self._knots(params)
        cells = self._cells(z, knots)
        index, exists = self._slots(cells)
        return self._spread(cells, index, self._slopes(cells, knots, exists) * self._rate(knots).unsqueeze(-1))

    def evaluate_for_vjp(self, z: Tensor, params: Params) -> tuple[Tensor, tuple[Tensor, ...]]:
        knots = self._knots(params)
        if self._is_small:
            return mirrored_values(z, knots, self._spline.intervals, self._spline.degree)
        cells = self._cells(z, knots)
        index, exists = self._slots(cells)
        border = cells.excess if exists is None else exists
        assert border is not None
        return self._spread(cells, index, self._values(cells, knots, exists)), (index, cells.first, cells.at, border)

    def vjp(
        self,
        z: Tensor,
        params: Params,
        phi: Tensor,
        saved: tuple[Tensor, ...],
        dphi: Tensor,
        wrt: frozenset[str],
    ) -> tuple[Tensor | None, dict[str, Tensor]]:
        if wrt != {"z"}:
            return super().vjp(z, params, phi, saved, dphi, wrt)
        if self._is_small:
            return mirrored_slope(saved, dphi, self._spline.degree) * self._rate(self._knots(params)), {}
        (index, first, at, border), knots = saved, self._knots(params)
        zero = self._spline.outside == "zero"
        slopes = self._slopes(Cells(first, at, None if zero else border), knots, border if zero else None)
        return slopes.mul_(dphi.gather(-1, index)).sum(-1) * self._rate(knots), {}

    @property
    def _is_small(self) -> bool:
        """Whether computing all functions costs less than finding those that are not zero."""
        intervals, degree, outside, pieces = self._spline
        return pieces is not None and outside == "zero" and degree in MIRRORED and intervals + degree <= _SMALL

    def _cells(self, z: Tensor, knots: Tensor) -> Cells:
        intervals, degree, outside, pieces = self._spline
        return (free_cells if pieces is None else uniform_cells)(z, knots, intervals, degree, outside)

    def _pieces(self, cells: Cells, knots: Tensor, order: int) -> Tensor:
        pieces = self._spline.pieces
        if pieces is None:
            return free_pieces(cells, knots, self._spline.degree, order)
        return uniform_pieces(cells, pieces[order], order)

    def _slots(self, cells: Cells) -> tuple[Tensor, Tensor | None]:
        """The numbers of the pieces' functions; with "zero" also 1, or 0 for a function that does not exist."""
        intervals, degree, outside, _ = self._spline
        width, device = degree + 1, cells.first.device
        offsets = torch.arange(width, device=device)
        if outside != "zero":
            return cells.first.unsqueeze(-1) + offsets, None
        number = torch.arange(-width, intervals + width, device=device).unsqueeze(-1) + offsets  # one row a cell
        wrapped, row = number.remainder(self.num_basis), cells.first + width
        return F.embedding(row, wrapped), F.embedding(row, (wrapped == number).to(cells.at.dtype))

    def _values(self, cells: Cells, knots: Tensor, exists: Tensor | None) -> Tensor:
        values = self._pieces(cells, knots, 0)
        if exists is not None:
            return values * exists
        if self._spline.outside == "linear" and cells.excess is not None:
            return values + self._pieces(cells, knots, 1) * cells.excess.unsqueeze(-1)
        return values

    def _slopes(self, cells: Cells, knots: Tensor, exists: Tensor | None) -> Tensor:
        """Derivatives of `_values` by `Cells.at`."""
        slopes = self._pieces(cells, knots, 1)
        if exists is not None:
            return slopes * exists
        assert cells.excess is not None
        moves = cells.excess == 0 if self._spline.outside == "constant" else cells.excess.abs() < reach(slopes.dtype)
        return slopes * moves.unsqueeze(-1)

    def _rate(self, knots: Tensor) -> Tensor:
        """The derivative of `Cells.at` with respect to z, [] or [I]."""
        intervals, degree, _, pieces = self._spline
        length = knots[..., degree + intervals] - knots[..., degree]
        return torch.ones_like(length) if pieces is None else intervals / length

    def _spread(self, cells: Cells, index: Tensor, values: Tensor) -> Tensor:
        """[..., I, K]: `values` at `index`, else 0, or NaN where z is NaN."""
        empty = (cells.at - cells.at).detach()
        return empty.unsqueeze(-1).expand(*empty.shape, self.num_basis).scatter(-1, index, values)
