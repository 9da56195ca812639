"""Checkpoints of fast-kan."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from ...bases import Gaussian
from ...nn import LayerNorm
from ...nn.base_branch import Base
from ..kan import KAN
from .foreign_state import ForeignState, build
from .grids import is_uniform, shortest


def import_fast_kan(path: Path, base_activation: Base = "silu") -> KAN:
    """Return the FastKAN in a file of ZiyaoLi/fast-kan.

    Args:
        path: the file. It holds `layers.N.{layernorm.weight, layernorm.bias, rbf.grid, spline_linear.weight,
            base_linear.weight, base_linear.bias}`. The last two are missing if the model was made with
            use_base_update=False.
        base_activation: activation of the base branch, which is not in the file.
    """
    file = ForeignState(path, "fast-kan", "FastKAN of fast-kan")
    count = file.count(r"layers\.(\d+)\.", "layers.0.spline_linear.weight")
    state: dict[str, Tensor] = {}
    widths: list[int] = []
    grids: list[Tensor] = []
    has_base = "layers.0.base_linear.weight" in file
    for n in range(count):
        layer = f"layers.{n}"
        grid = file.take(f"{layer}.rbf.grid", len(grids[0]) if grids else None)
        gain = file.take(f"{layer}.layernorm.weight", widths[-1] if widths else None)
        weight = file.take(f"{layer}.spline_linear.weight", None, len(gain) * len(grid))
        step = (grid[-1] - grid[0]) / max(len(grid) - 1, 1)
        if len(grid) < 2 or not (is_uniform(grid.unsqueeze(0)) and step > 0):
            raise file.error(
                f"holds a grid in {layer}.rbf.grid that is not uniform, so it does not tell the width of the bumps; "
                "FastKAN's grids are not learned: use a checkpoint as its own code wrote it"
            )
        inputs, outputs = len(gain), len(weight)
        state |= {
            f"{layer}.norm.weight": gain,
            f"{layer}.norm.bias": file.take(f"{layer}.layernorm.bias", inputs),
            f"{layer}.grid": grid,
            f"{layer}.denominator": step.reshape(1),
            f"{layer}.weight": weight.reshape(outputs, inputs, len(grid)),
        }
        if has_base:
            state[f"{layer}.base_weight"] = file.take(f"{layer}.base_linear.weight", outputs, inputs)
            state[f"{layer}.bias"] = file.take(f"{layer}.base_linear.bias", outputs)
        grids.append(grid)
        widths += [inputs, outputs] if not widths else [outputs]
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
