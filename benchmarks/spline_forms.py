"""Cubic B-splines for the training step: every function computed, or the four that are not zero put in place.

python benchmarks/spline_forms.py [--threads 2] [--repeats 40]
"""

from __future__ import annotations

import argparse

import torch
from _common import interleave, write_results

import fasterkan as fk
from fasterkan.bases import _local

SHAPES = ((64, 784), (1024, 256))
"""Rows, inputs."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=40)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    rows = []
    for n, inputs in SHAPES:
        z = torch.rand(n, inputs, generator=torch.Generator().manual_seed(0)) * 2 - 1
        for count in (8, 16, 32, 64):
            basis = fk.BSpline(grid_size=count - 3)
            params = basis.init(inputs, 1)

            def run(limit: int, z=z, basis=basis, params=params) -> None:
                _local._SMALL = limit
                with torch.no_grad():
                    phi, saved = basis.evaluate_for_vjp(z, params)
                    basis.vjp(z, params, phi, saved, torch.ones_like(phi), frozenset({"z"}))

            forms = {"every function": lambda run=run: run(1 << 30), "those not zero": lambda run=run: run(0)}
            for form, times in interleave(forms, args.repeats, turn=3).items():
                rows.append({"rows": n, "inputs": inputs, "K": count, "form": form, **times})
                print(rows[-1])
    print(f"written to {write_results('spline_forms', rows)}")


if __name__ == "__main__":
    main()
