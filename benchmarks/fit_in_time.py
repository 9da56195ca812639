"""fk.fit with seconds=10 beside scikit-learn's HistGradientBoosting, on tables of 20 columns with noise.

python benchmarks/fit_in_time.py [--cpu] [--rows 1000,10000,100000] [--seeds 0,1,2]

The target is Friedman's: 2 sin(pi a b) + 4 (c - 1/2)^2 + 2 d + e, with noise of deviation .3; 15 of the 20 columns do
not matter. With --cpu, fk.fit counts the processor time of its process, as on a machine that does nothing else. Both
times are reported. The error is that of 20,000 new rows, noise included: none can be below .3.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from _common import write_results
from sklearn.ensemble import HistGradientBoostingRegressor
from torch import Tensor

import fasterkan as fk
from fasterkan.fitting import clock

SECONDS, COLUMNS, HIDDEN, NOISE, TEST_ROWS, TEST_SEED = 10.0, 20, 5, 0.3, 20_000, 1000


def table(rows: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(rows, COLUMNS, generator=generator, dtype=torch.float64)
    y = 2 * torch.sin(torch.pi * x[:, 0] * x[:, 1]) + 4 * (x[:, 2] - 0.5) ** 2 + 2 * x[:, 3] + x[:, 4]
    return x, y + NOISE * torch.randn(rows, generator=generator, dtype=torch.float64)


def ours(x: Tensor, y: Tensor, new: Tensor, seed: int) -> tuple[Tensor, dict[str, object]]:
    generator = torch.Generator().manual_seed(seed)
    net = fk.KAN([COLUMNS, HIDDEN, 1], fk.BSpline(), norm="feature", base="silu", generator=generator)
    result = fk.fit(net, x, y, seconds=SECONDS, seed=seed, progress=False)
    with torch.no_grad():
        predicted = net(new.float()).double()[:, 0]
    phases = [{"name": p.name, "method": p.method, "rows": p.rows, "networks": len(p.attempts)} for p in result.phases]
    return predicted, {"stopped": result.stopped, "rows_used": result.rows, "phases": phases}


def theirs(x: Tensor, y: Tensor, new: Tensor, seed: int) -> tuple[Tensor, dict[str, object]]:
    model = HistGradientBoostingRegressor(random_state=seed).fit(x.numpy(), y.numpy())
    return torch.from_numpy(model.predict(new.numpy())), {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cpu", action="store_true", help="let fk.fit count processor time")
    parser.add_argument("--rows", default="1000,10000,100000")
    parser.add_argument("--seeds", default="0,1,2")
    options = parser.parse_args()
    if options.cpu:
        clock.now = time.process_time
    subjects: dict[str, Callable[..., tuple[Tensor, dict[str, object]]]] = {"fasterkan": ours, "HistGB": theirs}
    for name, run in subjects.items():  # what is imported or built at the first call is not measured
        run(*table(200, 0), table(10, 0)[0], 0)
        print(name, "is ready", flush=True)
    found = []
    for rows in map(int, options.rows.split(",")):
        for seed in map(int, options.seeds.split(",")):
            x, y = table(rows, seed)
            new, new_y = table(TEST_ROWS, TEST_SEED + seed)
            for name, run in subjects.items():
                wall, cpu = time.perf_counter(), time.process_time()
                predicted, more = run(x, y, new, seed)
                wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
                error = float((predicted - new_y).square().mean().sqrt())
                row = {
                    "rows": rows, "seed": seed, "system": name, "rmse": error, "deviation": float(new_y.std()),
                    "seconds": wall, "cpu_seconds": cpu, "clock": "cpu" if options.cpu else "wall", **more,
                }  # fmt: skip
                found.append(row)
                print(
                    {key: row[key] for key in ("rows", "seed", "system", "rmse", "seconds", "cpu_seconds")}, flush=True
                )
    for rows in sorted({row["rows"] for row in found}):
        for name in subjects:
            errors = [row["rmse"] for row in found if (row["rows"], row["system"]) == (rows, name)]
            print(rows, name, f"{statistics.median(errors):.4f}")
    print(write_results("fit_in_time", found))


if __name__ == "__main__":
    main()
