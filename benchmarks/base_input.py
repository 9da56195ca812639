"""What the base branch should see: test losses of [2, 5, 1] after Adam, on a table of sizes 1 and in natural units.

    python benchmarks/base_input.py

y = sin(3 a) + b^2; the natural units are 5e4 for b, as for a pressure in Pa, with an offset of 1e5.
"""

from __future__ import annotations

import statistics

import torch
import torch.nn.functional as F
from _common import write_results
from torch import Tensor

import fasterkan as fk

SEEDS, STEPS, RATE, ROWS = range(5), 800, 0.01, (300, 2000)
BASES = {"B-spline": fk.BSpline(), "RSWAF": fk.RSWAF(), "Chebyshev": fk.Chebyshev(5)}
INPUTS = {"no branch": None, "x": "x", "scaled": "scaled", "z": "z"}
UNITS = {"-1 ... 1": (1.0, 0.0), "5e4 ... 1.5e5": (5e4, 1e5)}


def data(rows: int, seed: int) -> tuple[Tensor, Tensor]:
    """A table of two uniform columns, and the targets."""
    x = 2 * torch.rand(rows, 2, generator=torch.Generator().manual_seed(seed)) - 1
    return x, (3 * x[:, :1]).sin() + x[:, 1:].square()


def losses(basis: fk.Basis, base_input: str | None, unit: float, offset: float, seed: int) -> tuple[float, float]:
    """Return the mean squared error before training, and on new rows after it."""
    (x, y), (new, target) = data(ROWS[0], 1000 + seed), data(ROWS[1], 2000 + seed)
    x, new = (torch.stack([part[:, 0], part[:, 1] * unit + offset], 1) for part in (x, new))
    base = None if base_input is None else "silu"
    generator = torch.Generator().manual_seed(seed)
    net = fk.KAN([2, 5, 1], basis, norm="feature", base=base, base_input=base_input, generator=generator)
    net.calibrate(x)
    optimizer = torch.optim.Adam(net.parameters(), lr=RATE)
    start = F.mse_loss(net(x), y).item()
    for _ in range(STEPS):
        optimizer.zero_grad()
        F.mse_loss(net(x), y).backward()
        optimizer.step()
    with torch.no_grad():
        return start, F.mse_loss(net.eval()(new), target).item()


def main() -> None:
    torch.set_num_threads(1)
    rows = []
    for family, basis in BASES.items():
        for name, base_input in INPUTS.items():
            for units, (unit, offset) in UNITS.items():
                found = [losses(basis, base_input, unit, offset, seed) for seed in SEEDS]
                start, end = (statistics.median(each) for each in zip(*found, strict=True))
                row = {"basis": family, "base_input": name, "second_column": units, "seeds": len(SEEDS)}
                rows.append({**row, "steps": STEPS, "loss_at_start": start, "test_loss": end})
                print(f"{family:10} {name:10} {units:15} start {start:9.2g}  test {end:9.2g}")
    print(f"written to {write_results('base_input', rows)}")


if __name__ == "__main__":
    main()
