"""Draw docs/images/network.svg: a small network that learned exp(sin(pi x) + y^2), before and after pruning."""

from __future__ import annotations

from pathlib import Path

import torch

import fasterkan as fk
from fasterkan.fitting import fit


def main() -> None:
    """Fit, prune and draw."""
    torch.manual_seed(0)
    x = torch.rand(1000, 3, dtype=torch.float64) * 2 - 1
    y = torch.exp(torch.sin(torch.pi * x[:, 0]) + x[:, 1] ** 2)
    net = fk.KAN([3, 2, 1], fk.BSpline(grid_size=8), norm="feature", base="silu", dtype=torch.float64)
    fit(net, x, y, grids=None)
    names = ["x", "y", "idle"]
    title = "exp(sin(\u03c0x) + y\u00b2), learned by [3, 2, 1]"
    figure = fk.plot.network(net, x, inputs=names, outputs=["f"], title=title)
    figure.savefig(Path(__file__).with_name("network.svg"), metadata={"Date": None})


if __name__ == "__main__":
    main()
