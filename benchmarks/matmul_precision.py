"""What torch.set_float32_matmul_precision does to a CPU step of [784, 256, 10] at batch 256, and to its exactness.

python benchmarks/matmul_precision.py [--threads 2] [--repeats 30]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
from _common import interleave, step, write_results

import fasterkan as fk

LAYERS, BATCH = [784, 256, 10], 256


def with_precision(precision: str, run: Callable[[], None]) -> Callable[[], None]:
    """Return `run` under a precision, restored afterwards."""

    def call() -> None:
        torch.set_float32_matmul_precision(precision)
        try:
            run()
        finally:
            torch.set_float32_matmul_precision("highest")

    return call


def product_error(precision: str) -> float:
    """Return the relative error of one [256, 6272] x [6272, 256] product against float64."""
    a, b = torch.randn(256, 6272), torch.randn(6272, 256)
    exact = a.double() @ b.double()
    torch.set_float32_matmul_precision(precision)
    got = a @ b
    torch.set_float32_matmul_precision("highest")
    return ((got - exact).norm() / exact.norm()).item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=30)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    kan = fk.KAN(LAYERS, first_affine=False)
    mlp = torch.nn.Sequential(torch.nn.Linear(784, 2048), torch.nn.ReLU(), torch.nn.Linear(2048, 10))
    x, labels = torch.randn(BATCH, LAYERS[0]), torch.randint(LAYERS[-1], (BATCH,))
    cells = {(name, p): (model, p) for name, model in (("KAN", kan), ("MLP", mlp)) for p in ("highest", "medium")}
    runs = {f"{name} {p}": with_precision(p, step(model, x, labels)) for (name, p), (model, _) in cells.items()}
    times = interleave(runs, args.repeats, turn=3)
    rows = []
    for name, precision in cells:
        timing = times[f"{name} {precision}"]
        rows.append({"subject": name, "precision": precision, "product_error": product_error(precision), **timing})
        print(f"{name} {precision:8} {timing['median_ms']:8.2f} ms  product error {rows[-1]['product_error']:.1e}")
    print(f"written to {write_results('matmul_precision', rows)}")


if __name__ == "__main__":
    main()
