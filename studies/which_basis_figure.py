"""Draw studies/results/which_basis.jsonl: each task's errors, and errors against step time and parameters.

python studies/which_basis_figure.py [--results FILE] [--folder docs/images]
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from _which_basis import Results, is_mlp

RESULTS = Path(__file__).parent / "results" / "which_basis.jsonl"
IMAGES = Path(__file__).parents[1] / "docs" / "images"
BUMPS, SPLINES, POLYNOMIALS, WAVES, RATIONAL, MLP = "#0072B2", "#009E73", "#D55E00", "#CC79A7", "#E69F00", "black"
STYLES = {
    "RSWAF": (BUMPS, "o"),
    "Gaussian": (BUMPS, "^"),
    "ReLUBump": (BUMPS, "s"),
    "BSpline": (SPLINES, "o"),
    "Hat": (SPLINES, "^"),
    "Chebyshev": (POLYNOMIALS, "o"),
    "Legendre": (POLYNOMIALS, "^"),
    "Fourier": (WAVES, "o"),
    "Sine": (WAVES, "^"),
    "Wavelet": (WAVES, "s"),
    "Rational": (RATIONAL, "D"),
    "MLP like Rational": (MLP, "v"),
    "MLP like RSWAF": (MLP, "P"),
    "MLP like Fourier": (MLP, "X"),
}
"""A colour for each family that colour-blind readers can tell apart (Okabe and Ito's), a mark for each member."""

CLOSE = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8)
"""The numbers on an axis that spans less than four times its start."""
KEY = """mark: median of the seeds
line: lowest to highest

grey: the best basis's range
dotted: always saying the
mean or one label

bases: best average place
at the top"""


def errors_by_task(results: Results) -> Figure:
    """Return a panel for each task: each network's error over the seeds, the best on average at the top."""
    order = sorted(results.average_place(), key=is_mlp)
    columns = 4
    figure = Figure(figsize=(10, 0.6 + 3.3 * math.ceil(len(results.tasks) / columns)), layout="constrained")
    FigureCanvasSVG(figure)
    panels = figure.subplots(math.ceil(len(results.tasks) / columns), columns, sharey=True, squeeze=False).flat
    for (task, group), axes in zip(results.tasks.items(), panels, strict=False):
        scale = 100 if group == "images" else 1
        best = results.cells[task][results.best(task)]
        axes.axvspan(scale * best.low, scale * upper(best.high, best.median), color="0.85", lw=0, zorder=0)
        axes.axvline(scale * results.constant(task), color="0.5", lw=1, ls=":")
        for y, name in enumerate(order):
            cell, (color, mark) = results.cells[task][name], STYLES[name]
            if math.isfinite(cell.median):
                ends = [scale * cell.low, scale * upper(cell.high, cell.median)]
                axes.plot(ends, [y, y], color=color, lw=1.5, alpha=0.6)
                axes.plot(scale * cell.median, y, mark, color=color, ms=6)
        axes.axhline(len(results.bases) - 0.5, color="0.7", lw=0.8)
        axes.set_title(task, fontsize=11)
        axes.set_xlabel("test images wrong, %" if group == "images" else "test RMSE, in deviations", fontsize=9)
        logarithmic(axes, "x")
    axes.set(yticks=range(len(order)), yticklabels=order, ylim=(len(order) - 0.4, -0.6))
    for axes in panels:
        axes.axis("off")
        axes.text(
            0.05,
            0.95,
            KEY,
            va="top",
            fontsize=9,
            transform=axes.transAxes,
        )
    return figure


def errors_by_cost(results: Results) -> Figure:
    """Return a column for each group of tasks: errors by the best basis's against step time and parameters."""
    figure = Figure(figsize=(10, 6.6), layout="constrained")
    FigureCanvasSVG(figure)
    grid = figure.subplots(2, len(results.groups), sharey="col", squeeze=False)
    for row, (what, label) in zip(grid, {"step": "step, ms", "parameters": "parameters"}.items(), strict=True):
        for axes, group in zip(row, results.groups, strict=True):
            errors, costs = results.group_errors(group), results.group_cost(group, what)
            mlps = [(costs[name], errors[name][0]) for name in results.mlps if name in costs]
            axes.plot(*zip(*sorted(mlps), strict=True), color=MLP, lw=1, alpha=0.5) if mlps else None
            for name, cost in costs.items():
                (median, low, high), (color, mark) = errors[name], STYLES[name]
                if math.isfinite(median):
                    axes.plot([cost, cost], [low, upper(high, median)], color=color, alpha=0.5)
                    axes.plot(cost, median, mark, color=color, ms=7, ls="", label=name)
            logarithmic(axes, "x")
            logarithmic(axes, "y")
            axes.set_xlabel(label, fontsize=9)
            if what == "step":
                axes.set_title(group, fontsize=11)
        row[0].set_ylabel("error, by the best basis's")
    handles = {label: h for axes in grid.flat for h, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    ordered = {name: handles[name] for name in STYLES if name in handles}
    figure.legend(ordered.values(), ordered, loc="outside lower center", ncols=5, fontsize=9, frameon=False)
    return figure


def upper(high: float, median: float) -> float:
    """Return where a range is drawn to: the median where a seed diverged, which the page says in words."""
    return high if math.isfinite(high) else median


def logarithmic(axes: Axes, which: str) -> None:
    """Make an axis logarithmic with plain numbers on it, at least two of them."""
    axes.set(**{f"{which}scale": "log"})
    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = sorted(axis.get_view_interval())
    inside = sum(low <= 10.0**power <= high for power in range(-9, 10))
    axis.set_major_locator(LogLocator(subs=(1,) if inside > 1 else (1, 2, 5) if high / low > 4 else CLOSE))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axis.set_minor_formatter(NullFormatter())
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--folder", type=Path, default=IMAGES)
    args = parser.parse_args()
    results = Results(json.loads(line) for line in args.results.read_text().splitlines()[1:])
    for name, draw in {"which_basis_errors": errors_by_task, "which_basis_cost": errors_by_cost}.items():
        path = args.folder / f"{name}.svg"
        draw(results).savefig(path, metadata={"Date": None})
        print(f"written to {path}")


if __name__ == "__main__":
    main()
