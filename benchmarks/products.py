"""The products of a layer as matrix products and as convolutions, on this CPU: time and rounding error.

python benchmarks/products.py [--threads 2] [--repeats 30]
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable

import torch
from _common import interleave, write_results

from fasterkan.ops import product

SHAPES = ((64, 6272, 256), (64, 2048, 10), (64, 256, 256), (64, 2048, 256), (100, 10000, 1000), (1024, 8192, 1024))
"""Rows N, I*K, outputs O."""


def by(convolution: bool, function: Callable[..., torch.Tensor], a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Call a product in one of its two forms."""
    product.convolution_is_faster = lambda *tensors: convolution
    return function(a, b)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=30)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    rows = []
    for n, c, o in SHAPES:
        torch.manual_seed(0)
        x, w, dy = torch.randn(n, c), torch.randn(o, c), torch.randn(n, o)
        runs = {
            (form, what): functools.partial(by, form == "convolution", function, *operands)
            for form in ("product", "convolution")
            for what, function, operands in (
                ("y", product.rows_product, (x, w)),
                ("dphi", product.rows_gradient, (dy, w)),
            )
        }
        times = interleave({" ".join(key): run for key, run in runs.items()}, args.repeats, turn=3)
        exact = {"y": x.double() @ w.double().t(), "dphi": dy.double() @ w.double()}
        for (form, what), run in runs.items():
            error = float((run().double() - exact[what]).norm() / exact[what].norm())
            rows.append({"shape": [n, c, o], "form": form, "what": what, "error": error, **times[f"{form} {what}"]})
            print(rows[-1])
    print(f"written to {write_results('products', rows)}")


if __name__ == "__main__":
    main()
