"""Draw how the step grows with N, I, O and K, from benchmarks/results/bench_cpu.jsonl, with the floor of the products.

python benchmarks/growth_figure.py
"""

from __future__ import annotations

import json
from pathlib import Path

from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

RESULTS = Path(__file__).parent / "results" / "bench_cpu.jsonl"
IMAGE = Path(__file__).parents[1] / "docs" / "images" / "growth.svg"
SUBJECTS = {
    "KAN": ("tab:blue", "-"),
    "KAN, BSpline": ("tab:green", "-"),
    "KAN, Hat": ("tab:purple", "-"),
    "faster-kan": ("tab:blue", ":"),
    "efficient-kan": ("tab:green", ":"),
    "inkan": ("tab:olive", ":"),
    "MLP, equal parameters": ("black", "--"),
}
BASE = {"N": 256, "I": 256, "O": 256, "K": 8}
NAMES = {"N": "rows N", "I": "inputs I", "O": "outputs O", "K": "functions K"}


def main() -> None:
    rows = [json.loads(line) for line in RESULTS.read_text().splitlines()[1:]]
    rows = [row for row in rows if row["task"].startswith("growth-") and "failed" not in row]
    figure = Figure(figsize=(10, 6.4), layout="constrained")
    FigureCanvasSVG(figure)
    rate = max(row["step_flops"] / row["step"]["median"] for row in rows if row["step_flops"])
    for axes, axis in zip(figure.subplots(2, 2).flat, NAMES, strict=True):
        own = [row for row in rows if row["task"].startswith(f"growth-{axis}")]
        own += [row for row in rows if row["task"] == "growth-N256"]
        for subject, (color, style) in SUBJECTS.items():
            points = sorted(
                {size(row, axis): row["step"]["median"] for row in own if row["subject"] == subject}.items()
            )
            axes.loglog(*zip(*points, strict=True), style, color=color, marker="o", ms=3, label=subject)
        kan = sorted({size(row, axis): row["step_flops"] / rate for row in own if row["subject"] == "KAN"}.items())
        axes.loglog(*zip(*kan, strict=True), color="0.75", lw=4, zorder=0, label="floor: KAN's products alone")
        axes.set(xlabel=NAMES[axis], ylabel="step, ms")
        axes.grid(alpha=0.3)
    figure.axes[0].legend(fontsize=8)
    IMAGE.parent.mkdir(exist_ok=True)
    figure.savefig(IMAGE, metadata={"Date": None})
    print(f"written to {IMAGE}")


def size(row: dict[str, object], axis: str) -> int:
    """Return the size on an axis from the task's name."""
    name = str(row["task"]).removeprefix("growth-")
    return int(name[1:]) if name[0] == axis else BASE[axis]


if __name__ == "__main__":
    main()
