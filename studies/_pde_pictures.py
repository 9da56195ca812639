"""A picture of a solution and of its error: docs/images/pde-NAME.png."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from _pde_problems import Problem, square
from torch import Tensor

IMAGES = Path(__file__).parents[1] / "docs" / "images"
SIDE = 161


def draw(problem: Problem, u: Callable[[Tensor], Tensor]) -> Path:
    """Draw u and |u - solution| side by side, time running to the right, and return the file."""
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

    x = square(SIDE, problem.low, problem.high)
    with torch.no_grad():
        found = u(x)[:, 0]
        error = (found - problem.solution(x)).abs()
    names = ("t", "x") if problem.open_end else ("x", "y")
    figure = Figure(figsize=(7.2, 3.0), layout="constrained")
    panels = figure.subplots(1, 2)
    top = float(error.max())
    looks = [
        ("u", found, {"cmap": "RdBu_r", "vmin": -1, "vmax": 1}),
        ("|u - solution|", error.clamp_min(1e-4 * top), {"cmap": "magma", "norm": LogNorm(1e-4 * top, top)}),
    ]
    for panel, (title, values, look) in zip(panels, looks, strict=True):
        image = values.view(SIDE, SIDE)  # rows: the first column of x
        extent = (problem.low[0], problem.high[0], problem.low[1], problem.high[1])
        if problem.open_end:
            extent = (*extent[2:], *extent[:2])
        else:
            image = image.mT
        shown = panel.imshow(
            image.numpy(), origin="lower", extent=extent, aspect="auto", interpolation="nearest", **look
        )
        panel.set(title=title, xlabel=names[0], ylabel=names[1])
        figure.colorbar(shown, ax=panel)
    path = IMAGES / f"pde-{problem.name}.png"
    figure.savefig(path, dpi=90, metadata={"Software": None})
    return path
