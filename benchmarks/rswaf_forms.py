"""Three ways to compute the RSWAF basis on the CPU: 1 - tanh^2, the sigmoid form in use, one exponential per input.

python benchmarks/rswaf_forms.py [--threads 2] [--repeats 200]

The one-exponential form computes q = exp(2 (z - m) / h) once per input, m the middle of the grid, and with constants
c_k = exp(-2 (u_k - m) / h) the function as 4 q c_k t^2, t = 1 / (1 + q c_k).
"""

from __future__ import annotations

import argparse

import torch
from _common import interleave, write_results
from torch import Tensor

import fasterkan as fk


def tanh_form(z: Tensor, grid: Tensor, inverse: Tensor) -> Tensor:
    """The definition."""
    t = torch.tanh((z.unsqueeze(-1) - grid) * inverse)
    return 1 - t * t


def one_exponential_form(z: Tensor, grid: Tensor, inverse: Tensor) -> Tensor:
    """One exp per input; exponents clamped to +-40."""
    middle = (grid[0] + grid[-1]) / 2
    q = torch.exp(((z - middle) * (2 * inverse)).clamp_(-40, 40)).unsqueeze(-1)
    product = q * torch.exp((middle - grid) * (2 * inverse))
    t = (product + 1).reciprocal_()
    return product.mul_(t).mul_(t).mul_(4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=200)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    rows = []
    print(f"{'rows':>5} {'K':>3} {'form':16} {'ms':>8} {'RMS error':>10}")
    for batch, count in ((64, 8), (64, 32), (1024, 8)):
        torch.manual_seed(0)
        basis, z = fk.RSWAF(num_grids=count), torch.randn(batch, 784)
        params = basis.init(784, 1)
        pair = (params["grid"], params["inv_denominator"])
        forms = {
            "1 - tanh^2": lambda z=z, pair=pair: tanh_form(z, *pair),
            "sigmoid (in use)": lambda z=z, basis=basis, params=params: basis.evaluate_for_vjp(z, params)[0],
            "one exponential": lambda z=z, pair=pair: one_exponential_form(z, *pair),
        }
        exact = tanh_form(z.double(), *(t.double() for t in pair))
        with torch.no_grad():
            times = interleave(forms, args.repeats)
            for name, form in forms.items():
                error = (form() - exact).square().mean().sqrt().item()
                rows.append({"rows": batch, "inputs": 784, "K": count, "form": name, "rms_error": error, **times[name]})
                print(f"{batch:5} {count:3} {name:16} {times[name]['median_ms']:8.3f} {error:10.1e}")
    print(f"written to {write_results('rswaf_forms', rows)}")


if __name__ == "__main__":
    main()
