"""How well RSWAF stands for the cubic B-spline: one function, and every edge of a trained spline layer.

python studies/rswaf_bspline.py [--epochs 3] [--threads 2]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from scipy.interpolate import BSpline
from scipy.optimize import minimize

import fasterkan as fk
from fasterkan.data import train_validation_test

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from _common import machine

RESULTS = Path(__file__).parent / "results" / "rswaf_bspline.jsonl"
SPACINGS = (0.1, 0.2, 0.343, 0.4, 1.0)
POINTS = np.linspace(-4, 4, 8001)
"""In units of the spacing d; the spline lives on [-2, 2]."""


def one_function(spacing: float) -> dict[str, object]:
    """Return the a and h / d for which a sech^2(u / h) comes nearest to the cubic B-spline, in the largest error."""
    spline = BSpline.basis_element(np.arange(-2, 3) * spacing, extrapolate=False)
    u = POINTS * spacing
    target = np.nan_to_num(spline(u))

    def largest(v: np.ndarray) -> float:
        return float(np.abs(v[0] / np.cosh(u / (v[1] * spacing)) ** 2 - target).max())

    found = minimize(largest, [0.67, 0.8], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12})
    return {"spacing": spacing, "scale": found.x[0], "width_by_spacing": found.x[1], "largest_error": found.fun}


def spline_layer(epochs: int) -> tuple[fk.KAN, torch.Tensor, float]:
    """Return a [784, 256, 10] network of cubic B-splines trained on MNIST, some inputs, and its validation accuracy."""
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
    return net, x, accuracy


def every_edge(net: fk.KAN, x: torch.Tensor, layer: int, counts: tuple[int, ...]) -> list[dict[str, object]]:
    """Return how well RSWAFs of several sizes fit each edge's spline over the range, by least squares."""
    old = net.kan_layers()[layer]
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
        quantiles = torch.quantile(error[torch.randperm(len(error))[:200_000]], torch.tensor([0.5, 0.95]).double())
        rows.append(
            {
                "layer": layer,
                "edges": error.numel(),
                "spline_functions": basis.num_basis,
                "rswaf_functions": count,
                "median_error": float(quantiles[0]),
                "p95_error": float(quantiles[1]),
                "largest_error": float(error.max()),
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    rows: list[dict[str, object]] = [{"kind": "function", **one_function(d)} for d in SPACINGS]
    net, x, accuracy = spline_layer(args.epochs)
    rows += [
        {"kind": "layer", "validation_accuracy": accuracy, **row} for row in every_edge(net, x, 0, (8, 10, 12, 16))
    ]
    for row in rows:
        print(row)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("".join(json.dumps(line) + "\n" for line in [{"machine": machine()}, *rows]))


if __name__ == "__main__":
    main()
