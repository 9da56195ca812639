"""exp(sin(pi x) + y^2) by [2, 5, 1] networks of 135 parameters and Adam: bases and settings, eight seeds.

python studies/small_function.py [--choose] [--threads 1]

Settings are compared on 1,000 validation points (`--choose`, seeds 100 to 103); the chosen ones are then run with seeds
0 to 7 and looked at on 1,000 test points once.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

import fasterkan as fk

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from _common import machine

RESULTS = Path(__file__).parent / "results"
STEPS, POINTS = 2000, 1000
WIDTH = 1.2
"""RSWAF's h by its spacing d, if nothing else is said."""


@dataclasses.dataclass(frozen=True)
class Setting:
    """A basis and how it is trained.

    Args:
        basis: 9 numbers an edge, the SiLU branch counted.
        base: "silu" or None.
        lr: Adam's, linear to 0.
        updates: how many first steps the hidden norms follow the data.
        margin: of the feature norm's range.
    """

    basis: fk.Basis
    base: str | None = None
    lr: float = 2e-2
    updates: int = 100
    margin: float = 0.05


def rswaf(count: int, width: float = WIDTH, **options: float) -> fk.RSWAF:
    """Return an RSWAF with h = width * d."""
    plain = fk.RSWAF(num_grids=count)
    return fk.RSWAF(num_grids=count, inv_denominator=1 / (width * plain.spacing))


CANDIDATES: dict[str, Setting] = {
    **{f"RSWAF 9, h {w} d, lr {lr}": Setting(rswaf(9, w), lr=lr) for w in (0.8, 1.0, 1.2, 1.6) for lr in (1e-2, 3e-2)},
    **{
        f"RSWAF 8 + SiLU, h {w} d, lr {lr}": Setting(rswaf(8, w), "silu", lr)
        for w in (1.0, 1.2, 1.6)
        for lr in (1e-2, 3e-2)
    },
    **{
        f"BSpline G {8 - p}, degree {p} + SiLU, lr {lr}": Setting(fk.BSpline(grid_size=8 - p, degree=p), "silu", lr)
        for p in (3, 4, 5)
        for lr in (1e-2, 3e-2)
    },
}
CHOSEN = ("RSWAF 9, h 1.0 d, lr 0.03", "RSWAF 8 + SiLU, h 1.2 d, lr 0.03", "BSpline G 5, degree 3 + SiLU, lr 0.03")
"""By validation; each basis' best."""


def data(seed: int) -> tuple[Tensor, Tensor]:
    """Return points of [-1, 1]^2 and the function there."""
    x = torch.rand(POINTS, 2, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return x, torch.exp(torch.sin(torch.pi * x[:, :1]) + x[:, 1:] ** 2)


def run(setting: Setting, seed: int, held_out: tuple[Tensor, Tensor]) -> tuple[float, float, int]:
    """Train on the points of a seed; return train and held-out RMSE and the number of parameters."""
    x, y = data(seed)
    torch.manual_seed(seed)
    norm = fk.FeatureNorm(mode="range", margin=setting.margin, updates=setting.updates)
    net = fk.KAN([2, 5, 1], setting.basis, norm=norm, base=setting.base, bias=False)
    net.calibrate(x)
    optimizer = torch.optim.Adam(net.parameters(), lr=setting.lr, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, STEPS)
    net.train()
    for _ in range(STEPS):
        optimizer.zero_grad(set_to_none=True)
        F.mse_loss(net(x), y).backward()
        optimizer.step()
        schedule.step()
        fk.update_norms(net)
    net.eval()
    with torch.no_grad():
        train, test = (float(F.mse_loss(net(a), b)) ** 0.5 for a, b in ((x, y), held_out))
    return train, test, sum(p.numel() for p in net.parameters())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--choose", action="store_true", help="compare the candidates on validation points")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    names, seeds = (CANDIDATES, range(100, 104)) if args.choose else (CHOSEN, range(8))
    held_out = data(1_000 if args.choose else 2_000)
    rows = []
    for name in names:
        runs = [run(CANDIDATES[name], seed, held_out) for seed in seeds]
        rows.append(
            {
                "setting": name,
                "parameters": runs[0][2],
                "seeds": list(seeds),
                "train": [r[0] for r in runs],
                "held_out": [r[1] for r in runs],
                "median": statistics.median(r[1] for r in runs),
            }
        )
        print(
            f"{name:40} {rows[-1]['parameters']} {rows[-1]['median']:.4f} {sorted(round(r[1], 4) for r in runs)}",
            flush=True,
        )
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / ("small_function_validation.jsonl" if args.choose else "small_function.jsonl")
    path.write_text("".join(json.dumps(line) + "\n" for line in [{"machine": machine()}, *rows]))


if __name__ == "__main__":
    main()
