"""Checkpoints of fast-kan and efficient-kan."""

from __future__ import annotations

import torch
from torch import Tensor

from ...bases import BSpline, Gaussian
from ...nn import LayerNorm
from ...nn.base_branch import Base
from ..kan import KAN
from .faster_kan import shortest
from .state import ForeignState, build


def import_fast_kan(file: ForeignState, base_activation: Base) -> KAN:
    """Return the FastKAN in a file of ZiyaoLi/fast-kan.

    Args:
        file: its tensors: `layers.N.{layernorm.weight, layernorm.bias, rbf.grid, spline_linear.weight,
            base_linear.weight, base_linear.bias}`, without the base branch if it was made with use_base_update=False.
        base_activation: of the base branch; the file does not tell.
    """
    count = file.count(r"layers\.(\d+)\.", "layers.0.spline_linear.weight")
    state: dict[str, Tensor] = {}
    widths: list[int] = []
    grids: list[Tensor] = []
    has_base = "layers.0.base_linear.weight" in file
    for n in range(count):
        theirs, ours = f"layers.{n}", f"layers.{n}"
        grid = file.take(f"{theirs}.rbf.grid", len(grids[0]) if grids else None)
        inputs = file.take(f"{theirs}.layernorm.weight", widths[-1] if widths else None)
        weight = file.take(f"{theirs}.spline_linear.weight", None, len(inputs) * len(grid))
        step = (grid[-1] - grid[0]) / max(len(grid) - 1, 1)
        if len(grid) < 2 or not (_is_uniform(grid.unsqueeze(0)) and step > 0):
            raise file.error(
                f"holds a grid in {theirs}.rbf.grid that is not uniform, so it does not tell the width of the bumps; "
                "FastKAN's grids are not learned: use a checkpoint as its own code wrote it"
            )
        outputs = len(weight)
        state |= {
            f"{ours}.norm.weight": inputs,
            f"{ours}.norm.bias": file.take(f"{theirs}.layernorm.bias", len(inputs)),
            f"{ours}.grid": grid,
            f"{ours}.denominator": step.reshape(1),
            f"{ours}.weight": weight.reshape(outputs, len(inputs), len(grid)),
        }
        if has_base:
            state[f"{ours}.base_weight"] = file.take(f"{theirs}.base_linear.weight", outputs, len(inputs))
            state[f"{ours}.bias"] = file.take(f"{theirs}.base_linear.bias", outputs)
        grids.append(grid)
        widths += [len(inputs), outputs] if not widths else [outputs]
    ends = (shortest(grids[0][0]), shortest(grids[0][-1]))
    return build(
        file,
        state,
        KAN,
        layers_hidden=widths,
        basis=Gaussian(num_grids=len(grids[0]), grid_range=ends),
        norm=LayerNorm(gain=1.0),
        base=base_activation if has_base else None,
        bias=has_base,
    )


def import_efficient_kan(file: ForeignState, base_activation: Base) -> KAN:
    """Return the KAN in a file of Blealtan/efficient-kan.

    Args:
        file: its tensors: `layers.N.{grid, base_weight, spline_weight}` and, unless it was made without,
            `layers.N.spline_scaler`, which is multiplied into the weights.
        base_activation: of the base branch; the file does not tell.
    """
    count = file.count(r"layers\.(\d+)\.", "layers.0.spline_weight")
    state: dict[str, Tensor] = {}
    widths: list[int] = []
    knots: list[Tensor] = []
    functions: int | None = None
    for n in range(count):
        name = f"layers.{n}"
        base = file.take(f"{name}.base_weight", None, widths[-1] if widths else None)
        outputs, inputs = base.shape
        weight = file.take(f"{name}.spline_weight", outputs, inputs, functions)
        functions = weight.shape[-1]
        if f"{name}.spline_scaler" in file:
            weight = weight * file.take(f"{name}.spline_scaler", outputs, inputs).unsqueeze(-1)
        knots.append(file.take(f"{name}.grid", inputs, knots[0].shape[1] if knots else None))
        state |= {f"{name}.weight": weight, f"{name}.base_weight": base}
        widths += [inputs, outputs] if not widths else [outputs]
    assert functions is not None
    basis = spline_basis(file, "layers.{}.grid", knots, functions)
    state |= {f"layers.{n}.knots": _stored(basis, grid) for n, grid in enumerate(knots)}
    return build(file, state, KAN, layers_hidden=widths, basis=basis, norm=None, base=base_activation, bias=False)


def spline_basis(
    file: ForeignState, name: str, knots: list[Tensor], functions: int, per_feature: bool = False
) -> BSpline:
    """Return the B-splines whose extended knots [I, G + 1 + 2 P] are given, a tensor a layer.

    Args:
        file: for messages.
        name: of the knots, with {} for the layer.
        knots: of each layer, each of the same width.
        functions: G + P.
        per_feature: keep the knots of each feature apart even where all are equal.
    """
    degree = knots[0].shape[1] - 1 - functions
    size = functions - degree
    if degree < 0 or size < 1:
        raise file.error(
            f"is no {file.what}: {knots[0].shape[1]} knots and {functions} functions fit no degree, expected "
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
    uniform = all(_is_uniform(grid) for grid in knots)
    shared = uniform and all(bool((grid == grid[:1]).all()) for grid in knots)
    if uniform:
        ends = (shortest(inner[0]), shortest(inner[-1]))
        return BSpline(grid_size=size, degree=degree, grid_range=ends, per_feature=per_feature or not shared)
    return BSpline(degree=degree, knots=tuple(inner.tolist()), per_feature=True)


def _is_uniform(knots: Tensor) -> bool:
    """Return whether spacings [I, n] differ by no more than rounding of the knots themselves explains."""
    exact = knots.double()
    step = (exact[:, -1:] - exact[:, :1]) / (knots.shape[1] - 1)
    eps = max(torch.finfo(knots.dtype).eps, torch.finfo(torch.float32).eps)  # float64 may once have been float32
    rounding = 8 * eps * exact.abs().amax(-1, keepdim=True)
    return bool(((exact.diff() - step).abs() <= rounding).all())


def _stored(basis: BSpline, knots: Tensor) -> Tensor:
    return knots if basis.per_feature else knots[0].clone()
