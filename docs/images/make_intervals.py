"""Draw docs/images/intervals.svg: a network fitted to noisy points, with the intervals of its predictions."""

from __future__ import annotations

from pathlib import Path

import torch
from matplotlib.figure import Figure

import fasterkan as fk


def main() -> None:
    """Fit, compute the intervals and draw."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(120, 1, dtype=torch.float64, generator=generator) * 2 - 1
    y = torch.sin(3 * x[:, 0]) + 0.2 * torch.randn(120, dtype=torch.float64, generator=generator)
    kept = (x[:, 0] < 0.1) | (x[:, 0] > 0.5)
    x, y = x[kept], y[kept]
    net = fk.KAN([1, 1], fk.BSpline(grid_size=8), norm="feature", dtype=torch.float64)
    fk.fit(net, x, y, grids=None, progress=False)
    at = torch.linspace(-1, 1, 201, dtype=torch.float64).unsqueeze(1)
    figure = Figure(figsize=(5.6, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.plot(x[:, 0], y, "o", color="#7a8793", markersize=2.5)
    for of, opacity, label in (("observation", 0.15, "90 % of new values"), ("mean", 0.3, "90 % interval of the mean")):
        prediction, low, high = fk.predict_interval(net, x, y, at, of=of)
        axes.fill_between(at[:, 0], low[:, 0], high[:, 0], color="#1f6fb4", alpha=opacity, linewidth=0, label=label)
    axes.plot(at[:, 0], prediction[:, 0], color="#1f6fb4", label="prediction")
    axes.legend(frameon=False, fontsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.set_xlabel("x")
    axes.set_ylabel("y")
    figure.savefig(Path(__file__).with_name("intervals.svg"), metadata={"Date": None})


if __name__ == "__main__":
    main()
