"""How well RSWAF stands for the cubic B-spline: one function, and every edge of a trained spline layer.

python studies/rswaf_bspline.py [--epochs 3] [--threads 2] [--draw]

Results go to studies/results/rswaf_bspline.jsonl and are drawn in docs/images/rswaf_bspline.svg; `--draw` draws those
of the last run.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from scipy.interpolate import BSpline
from scipy.optimize import minimize

import fasterkan as fk
from fasterkan.data import train_validation_test

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from _common import machine

RESULTS = Path(__file__).parent / "results" / "rswaf_bspline.jsonl"
IMAGE = Path(__file__).parents[1] / "docs" / "images" / "rswaf_bspline.svg"
SPACINGS = (0.1, 0.2, 0.343, 0.4, 1.0)
POINTS = np.linspace(-4, 4, 8001)
"""In units of the spacing d; the spline lives on [-2, 2]."""
BINS = np.logspace(-3, 0, 31)
"""Relative errors of the histogram; what is beyond counts at its ends."""

STYLES = [("#E69F00", ":"), ("#D55E00", "--"), ("#0072B2", "-."), ("black", "-")]


def cubic(u: np.ndarray, spacing: float) -> np.ndarray:
    """Return the cubic B-spline of a spacing, centred at 0."""
    return np.nan_to_num(BSpline.basis_element(np.arange(-2, 3) * spacing, extrapolate=False)(u))


def bump(u: np.ndarray, scale: float, width: float) -> np.ndarray:
    """Return one RSWAF centred at 0: scale * (1 - tanh(u / width)^2) = scale * sech(u / width)^2."""
    return scale / np.cosh(u / width) ** 2


def one_function(spacing: float) -> dict[str, object]:
    """Return the a and h / d for which a sech^2(u / h) comes nearest to the cubic B-spline, in the largest error."""
    u = POINTS * spacing
    target = cubic(u, spacing)

    def largest(v: np.ndarray) -> float:
        return float(np.abs(bump(u, v[0], v[1] * spacing) - target).max())

    found = minimize(largest, [0.67, 0.8], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12})
    return {"spacing": spacing, "scale": found.x[0], "width_by_spacing": found.x[1], "largest_error": found.fun}


def spline_network(epochs: int) -> tuple[fk.KAN, float]:
    """Return a [784, 256, 10] network of cubic B-splines trained on MNIST and its validation accuracy."""
    train, validation, _ = train_validation_test("mnist")
    torch.manual_seed(0)
    net = fk.KAN([784, 256, 10], fk.BSpline(), base="silu", first_affine=False)
    optimizer = torch.optim.AdamW(fk.param_groups(net, weight_decay=0.05), lr=2e-3)
    images = train.images.flatten(1)
    for _ in range(epochs):
        for rows in torch.randperm(len(images))[: 256 * (len(images) // 256)].view(-1, 256):
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(net(images[rows].float() / 255), train.labels[rows]).backward()
            optimizer.step()
    x = validation.images.flatten(1).float() / 255
    with torch.no_grad():
        accuracy = float((net(x).argmax(-1) == validation.labels).float().mean())
    return net, accuracy


def every_edge(old: fk.KANLinear, counts: tuple[int, ...]) -> list[dict[str, object]]:
    """Return how well RSWAFs of several sizes fit each edge's spline over its range, by least squares.

    An edge's error is the RMS of the difference by the RMS of the spline, at 201 points.
    """
    basis, rows = old.basis, []
    z = torch.linspace(*basis.grid_range, 201, dtype=torch.float64).unsqueeze(-1).expand(-1, old.in_features)
    params = basis.init(old.in_features, old.out_features, dtype=torch.float64)
    for count in counts:
        new = fk.RSWAF(num_grids=count, grid_range=basis.grid_range)
        tensors = new.init(old.in_features, old.out_features, dtype=torch.float64)
        weight, _ = basis.refit(params, old.weight.detach().double(), z, new, tensors, z)
        table, other = basis.evaluate(z[:, :1], params)[:, 0], new.evaluate(z[:, :1], tensors)[:, 0]
        spline = torch.einsum("sk,oik->sio", table, old.weight.detach().double())
        fit = torch.einsum("sk,oik->sio", other, weight.double())
        error = ((fit - spline).square().mean(0).sqrt() / spline.square().mean(0).sqrt().clamp_min(1e-12)).flatten()
        error = error.numpy()
        rows.append(
            {
                "layer": [old.in_features, old.out_features],
                "edges": error.size,
                "spline_functions": basis.num_basis,
                "rswaf_functions": count,
                "median_error": float(np.quantile(error, 0.5)),
                "p95_error": float(np.quantile(error, 0.95)),
                "largest_error": float(error.max()),
                "histogram": np.histogram(error.clip(BINS[0], BINS[-1]), BINS)[0].tolist(),
            }
        )
    return rows


def draw(rows: list[dict[str, Any]]) -> Figure:
    """Return the picture: the spline, the nearest RSWAF and their difference; how well edges are fitted."""
    one = next(row for row in rows if row["kind"] == "function")
    layers = [row for row in rows if row["kind"] == "layer"]
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    FigureCanvasSVG(figure)
    left, right = figure.subplots(1, 2)
    u = np.linspace(-3, 3, 601)
    spline, rswaf = cubic(u, 1.0), bump(u, one["scale"], one["width_by_spacing"])
    left.plot(u, spline, color="black", lw=2, label="cubic B-spline")
    label = f"{one['scale']:.3f} sech²(u / ({one['width_by_spacing']:.3f} d))"
    left.plot(u, rswaf, "--", color="#D55E00", lw=2, label=f"RSWAF: {label}")
    left.plot(u, rswaf - spline, color="#0072B2", lw=1.2, label=f"difference, at most {one['largest_error']:.3f}")
    left.set(xlabel="u / d, in spacings of the knots", title="one function", ylim=(-0.08, 0.98))
    left.legend(loc="upper right", fontsize=9, frameon=False)
    for row, (color, style) in zip(layers, STYLES, strict=False):
        share = 100 * np.array(row["histogram"]) / row["edges"]
        right.stairs(share, BINS, color=color, ls=style, lw=1.8, label=f"{row['rswaf_functions']} RSWAFs an edge")
    inputs, outputs = layers[0]["layer"]
    right.set(xscale="log", xlim=(BINS[0], 0.4), xlabel="RMS of the difference by RMS of the spline", ylabel="edges, %")
    right.set_title(f"the {layers[0]['edges']:,} edges of a trained spline layer [{inputs}, {outputs}]")
    right.legend(fontsize=9, frameon=False)
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.title.set_fontsize(11)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--draw", action="store_true", help="measure nothing, draw the results file")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if not args.draw:
        rows: list[dict[str, Any]] = [{"kind": "function", **one_function(d)} for d in SPACINGS]
        net, accuracy = spline_network(args.epochs)
        edges = every_edge(net.kan_layers()[0], (8, 10, 12, 16))
        rows += [{"kind": "layer", "validation_accuracy": accuracy, **row} for row in edges]
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text("".join(json.dumps(line) + "\n" for line in [{"machine": machine()}, *rows]))
    _, *rows = (json.loads(line) for line in RESULTS.read_text().splitlines())
    for row in rows:
        print({key: value for key, value in row.items() if key != "histogram"})
    draw(rows).savefig(IMAGE, metadata={"Date": None})


if __name__ == "__main__":
    main()
