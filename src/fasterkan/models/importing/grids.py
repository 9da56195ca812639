"""Reading of centres and knots in a file: their ends as decimals, whether they are uniform, and their B-splines."""

from __future__ import annotations

import torch
from torch import Tensor

from ...bases import BSpline
from .foreign_state import ForeignState


def shortest(value: Tensor) -> float:
    """Return the shortest decimal that rounds to the stored number: -1.2, not -1.2000000476837158."""
    return float(str((value if value.dtype == torch.float64 else value.float()).numpy()))


def is_uniform(points: Tensor) -> bool:
    """Return whether the points [I, n] are evenly spaced up to rounding errors."""
    exact = points.double()
    step = (exact[:, -1:] - exact[:, :1]) / (points.shape[1] - 1)
    # Numbers in float64 may have been float32 before.
    eps = max(torch.finfo(points.dtype).eps, torch.finfo(torch.float32).eps)
    rounding = 8 * eps * exact.abs().amax(-1, keepdim=True)
    return bool(((exact.diff() - step).abs() <= rounding).all())


def spline_basis(
    file: ForeignState, name: str, knots: list[Tensor], functions: int, per_feature: bool = False
) -> BSpline:
    """Return the B-splines with the given extended knots [I, G + 1 + 2 P], one tensor per layer.

    Args:
        file: the file, for messages.
        name: name of the knots, with {} for the layer.
        knots: the knots of each layer, all of the same width.
        functions: the number of functions, G + P.
        per_feature: keep separate knots for each feature, even if all are equal.
    """
    degree = knots[0].shape[1] - 1 - functions
    size = functions - degree
    if degree < 0 or size < 1:
        raise file.error(
            f"is not a {file.what}: {knots[0].shape[1]} knots and {functions} functions fit no degree, expected "
            "grid_size + 1 + 2 degree knots and grid_size + degree functions"
        )
    for n, grid in enumerate(knots):
        if not bool((grid.diff() > 0).all()):
            row = int((grid.diff() <= 0).any(-1).nonzero()[0])
            raise file.error(
                f"holds knots in {name.format(n)} that do not increase (row {row}), as a grid update on a constant "
                "feature leaves them; update the grid on data that varies, and save again"
            )
    first = knots[0][0]
    inner = first[degree : degree + size + 1]
    uniform = all(is_uniform(grid) for grid in knots)
    shared = uniform and all(bool((grid == grid[:1]).all()) for grid in knots)
    if uniform:
        ends = (shortest(inner[0]), shortest(inner[-1]))
        return BSpline(grid_size=size, degree=degree, grid_range=ends, per_feature=per_feature or not shared)
    return BSpline(degree=degree, knots=tuple(inner.tolist()), per_feature=True)
