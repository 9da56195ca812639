"""Properties of every basis at its defaults: support, smoothness, partition of unity, condition, numbers an edge.

python benchmarks/basis_properties.py
"""

from __future__ import annotations

import torch
from _common import write_results

import fasterkan as fk

BASES: dict[str, fk.Basis] = {
    "RSWAF": fk.RSWAF(),
    "Gaussian": fk.Gaussian(),
    "BSpline": fk.BSpline(),
    "Hat": fk.Hat(),
    "Chebyshev": fk.Chebyshev(),
    "Legendre": fk.Legendre(),
    "Hermite": fk.Hermite(),
    "Jacobi": fk.Jacobi(),
    "Gegenbauer": fk.Gegenbauer(),
    "Monomial": fk.Monomial(),
    "Fourier": fk.Fourier(),
    "Sine": fk.Sine(),
    "Wavelet": fk.Wavelet(),
    "ReLUBump": fk.ReLUBump(),
    "Rational": fk.Rational(groups=1),
}
HIGHEST = 4
"""Derivatives that are looked at; a family that has as many is taken for smooth."""


def evaluate(basis: fk.Basis, z: torch.Tensor) -> torch.Tensor:
    """Return phi [S, K] of the first edge at points [S]."""
    phi = basis.evaluate(z.unsqueeze(-1), basis.init(1, 1, dtype=torch.float64))
    return phi.flatten(1)


def smoothness(basis: fk.Basis) -> int:
    """Return how many derivatives are continuous on the range and half of it beyond, -1 where the values are not.

    The largest change between neighbouring points halves with their distance where a function is continuous, and stays
    where it jumps.
    """
    low, high = basis.grid_range
    half = (high - low) / 2

    def nth(order: int, z: torch.Tensor) -> torch.Tensor:
        f = lambda v: evaluate(basis, v)  # noqa: E731
        for _ in range(order):
            f = lambda v, g=f: torch.func.jvp(g, (v,), (torch.ones_like(v),))[1]  # noqa: E731
        return f(z)

    for order in range(HIGHEST + 1):
        jumps = []
        for count in (20_011, 40_022):
            z = torch.linspace(low - half, high + half, count, dtype=torch.float64)
            value = nth(order, z).detach()
            jumps.append(float((value[1:] - value[:-1]).abs().max()))
        if jumps[1] > 0.75 * jumps[0] and jumps[1] > 1e-9:
            return order - 1
    return HIGHEST


def condition(basis: fk.Basis, z: torch.Tensor) -> float:
    """Return the condition number of the Gram matrix E phi phi^T, each function scaled to E phi^2 = 1."""
    phi = evaluate(basis, z)
    phi = phi / phi.square().mean(0).sqrt().clamp_min(1e-300)
    values = torch.linalg.svdvals(phi / len(z) ** 0.5)
    return float((values[0] / values[-1]).square())


def edge_numbers(basis: fk.Basis) -> float:
    """Return the learned numbers of a layer with many inputs and outputs, by its edges."""
    inputs, outputs = 64, 64
    shared = sum(t.numel() for name, t in basis.init(inputs, outputs).items() if name in basis.trainable)
    return basis.num_basis + shared / (inputs * outputs)


def main() -> None:
    rows = []
    generator = torch.Generator().manual_seed(0)
    normal = torch.randn(200_000, generator=generator, dtype=torch.float64)
    for name, basis in BASES.items():
        low, high = basis.grid_range
        uniform = torch.linspace(low, high, 100_001, dtype=torch.float64)
        total = evaluate(basis, uniform).sum(-1)
        rows.append(
            {
                "basis": name,
                "description": repr(basis),
                "K": basis.num_basis,
                "grid_range": [low, high],
                "support": basis.support,
                "smoothness": smoothness(basis),
                "unity_error": float((total - 1).abs().max()),
                "condition_uniform": condition(basis, uniform),
                "condition_normal": condition(basis, normal),
                "numbers_per_edge": edge_numbers(basis),
                "per_edge": basis.per_edge,
            }
        )
        print(rows[-1])
    print(f"written to {write_results('basis_properties', rows)}")


if __name__ == "__main__":
    main()
