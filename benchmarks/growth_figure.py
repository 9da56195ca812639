"""Draw how step and memory grow with N, I, O and K, from benchmarks/results/bench_cpu.jsonl and bench_gpu.jsonl.

python benchmarks/growth_figure.py
"""

from __future__ import annotations

from typing import Any

from _markdown import ROOT, read
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from fasterkan.bench import GROWTH

CPU = {
    "KAN": ("tab:blue", "-"),
    "KAN, BSpline": ("tab:green", "-"),
    "KAN, Hat": ("tab:purple", "-"),
    "faster-kan": ("tab:blue", ":"),
    "efficient-kan": ("tab:green", ":"),
    "inkan": ("tab:olive", ":"),
    "kanditioned": ("tab:purple", ":"),
    "MLP, equal parameters": ("black", "--"),
}
GPU = {
    "KAN": ("tab:blue", "-"),
    "FasterKAN": ("tab:cyan", "-"),
    "faster-kan": ("tab:blue", ":"),
    "MLP, equal parameters": ("black", "--"),
}
NAMES = {"N": "rows N", "I": "inputs I", "O": "outputs O", "K": "functions K"}


def main() -> None:
    for results, prefix, subjects, image in (
        ("bench_cpu", "growth", CPU, "growth.svg"),
        ("bench_gpu", "gpu-growth", GPU, "growth_gpu.svg"),
    ):
        place = ROOT / "docs" / "images" / image
        draw(growth_rows(results, prefix), prefix, subjects).savefig(place, metadata={"Date": None})
        print(f"written to {place}")


def growth_rows(results: str, prefix: str) -> list[dict[str, Any]]:
    """Return the rows of the growth tasks that were measured."""
    rows = [row for row in read(results)[1] if row["task"].startswith(f"{prefix}-") and "failed" not in row]
    return [row for row in rows if row["family"] == "FasterKAN" or not row["subject"].startswith("MLP")]


def draw(rows: list[dict[str, Any]], prefix: str, subjects: dict[str, tuple[str, str]]) -> Figure:
    """Return the figure: the step on each axis with the floor of KAN's products, and memory against the rows."""
    figure = Figure(figsize=(11, 6.4), layout="constrained")
    FigureCanvasSVG(figure)
    grid = figure.subplots(2, 3)
    rate = max(row["step_flops"] / row["step"]["median"] for row in rows)
    for axes, axis in zip(grid[:, :2].flat, NAMES, strict=True):
        for subject, style in subjects.items():
            line(axes, points(rows, prefix, axis, subject, lambda row: row["step"]["median"]), style, subject)
        floor = points(rows, prefix, axis, "KAN", lambda row: row["step_flops"] / rate)
        axes.loglog(*zip(*floor, strict=True), color="0.75", lw=4, zorder=0, label="floor: KAN's products alone")
        axes.set(xlabel=NAMES[axis], ylabel="step, ms")
        ticks(axes, [size for size, _ in floor])
    memory, legend = grid[:, 2]
    for subject, style in subjects.items():
        line(memory, points(rows, prefix, "N", subject, lambda row: row["peak_mib"]), style, subject)
    memory.set(xlabel=NAMES["N"], ylabel="memory of a step, MiB")
    ticks(memory, [size for size, _ in points(rows, prefix, "N", "KAN", lambda row: 0.0)])
    for axes in (*grid[:, :2].flat, memory):
        axes.grid(alpha=0.3)
    legend.axis("off")
    legend.legend(*grid[0, 0].get_legend_handles_labels(), loc="center", frameon=False)
    return figure


def ticks(axes: Axes, sizes: list[int]) -> None:
    """Label the sizes that were measured, and no others."""
    axes.set_xticks(sizes, labels=[str(size) for size in sizes])
    axes.minorticks_off()


def line(axes: Axes, pairs: list[tuple[int, float]], style: tuple[str, str], label: str) -> None:
    """Draw one subject."""
    color, dashes = style
    axes.loglog(*zip(*pairs, strict=True), dashes, color=color, marker="o", ms=3, label=label)


def points(rows: list[dict[str, Any]], prefix: str, axis: str, subject: str, value: Any) -> list[tuple[int, float]]:
    """Return (size, value) of a subject on an axis, with the layer from which the sizes grow."""
    base = {f"{prefix}-{name}{size}" for name, size in GROWTH[prefix].items()}
    own = [
        r for r in rows if r["subject"] == subject and (r["task"].startswith(f"{prefix}-{axis}") or r["task"] in base)
    ]
    return sorted({size_of(row["task"], prefix, axis): value(row) for row in own}.items())


def size_of(task: str, prefix: str, axis: str) -> int:
    """Return the size on an axis from a task's name."""
    name = task.removeprefix(f"{prefix}-")
    return int(name[1:]) if name[0] == axis else GROWTH[prefix][axis]


if __name__ == "__main__":
    main()
