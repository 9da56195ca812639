"""Checkpoints of efficient-kan."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from ...nn.base_branch import Base
from ..kan import KAN
from .foreign_state import ForeignState, build
from .grids import spline_basis


def import_efficient_kan(path: Path, base_activation: Base = "silu") -> KAN:
    """Return the KAN in a file of Blealtan/efficient-kan.

    Args:
        path: the file. It holds `layers.N.{grid, base_weight, spline_weight}`. `layers.N.spline_scaler` is there if the
            model was made with it; it is multiplied into the weights.
        base_activation: activation of the base branch, which is not in the file.
    """
    file = ForeignState(path, "efficient-kan", "KAN of efficient-kan")
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
    state |= {f"layers.{n}.knots": grid if basis.per_feature else grid[0].clone() for n, grid in enumerate(knots)}
    return build(file, state, KAN, layers_hidden=widths, basis=basis, norm=None, base=base_activation, bias=False)
