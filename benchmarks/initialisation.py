"""How activations and gradients grow through depth at initialisation, for every norm: width 256, fk.KAN's defaults.

python benchmarks/initialisation.py
"""

from __future__ import annotations

import statistics

import torch
from _common import write_results

import fasterkan as fk

WIDTH, ROWS, SEEDS, DEPTHS = 256, 512, range(3), (2, 5, 10, 20)
NORMS = {
    "layer": {"norm": "layer"},
    "rms": {"norm": "rms"},
    "layer, gain 1": {"norm": fk.LayerNorm(gain=1.0)},
    "feature": {"norm": "feature"},
    "feature, base silu": {"norm": "feature", "base": "silu"},
    "none": {"norm": None},
}


def measure(options: dict, depth: int, seed: int) -> tuple[float, float]:
    """Return Var(y) and Var(dL/dx) / Var(dL/dy) for standard normal x and dL/dy."""
    generator = torch.Generator().manual_seed(seed)
    net = fk.KAN([WIDTH] * (depth + 1), generator=generator, **options)
    x = torch.randn(ROWS, WIDTH, generator=generator).requires_grad_()
    y = net(x)
    dy = torch.randn(y.shape, generator=generator)
    (dx,) = torch.autograd.grad(y, x, dy)
    return y.var().item(), (dx.var() / dy.var()).item()


def main() -> None:
    rows = []
    for name, options in NORMS.items():
        for depth in DEPTHS:
            activation, gradient = zip(*(measure(options, depth, seed) for seed in SEEDS), strict=True)
            rows.append(
                {
                    "norm": name,
                    "width": WIDTH,
                    "depth": depth,
                    "seeds": len(SEEDS),
                    "activation_variance": statistics.median(activation),
                    "gradient_variance_ratio": statistics.median(gradient),
                }
            )
            print(
                f"{name:20} depth {depth:2}  Var y {statistics.median(activation):8.3g}  "
                f"Var dx / Var dy {statistics.median(gradient):8.3g}"
            )
    print(f"written to {write_results('initialisation', rows)}")


if __name__ == "__main__":
    main()
