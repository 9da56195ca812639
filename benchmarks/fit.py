"""fk.fit beside pykan 0.2.8 on the functions of `fasterkan.data.KNOWN_FUNCTIONS`: 1,000 rows to fit, 1,000 to test.

python benchmarks/fit.py [--pykan PYTHON] [--functions a,b] [--seeds 0,1,2]

PYTHON is an interpreter that has pykan; without it ours are run alone. Ours and theirs take turns, case by case; each
finished case is appended to `results/fit.jsonl` at once, and a second run does only what is missing there.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from _common import RESULTS, machine

import fasterkan as fk
from fasterkan.data import KNOWN_FUNCTIONS

ROWS, TEST_SEED = 1000, 1000
GRID, DEGREE = 24, 5
PYKAN_GRIDS, PYKAN_STEPS = (3, 5, 10, 20, 50), 50
PAPER = {
    "ellipj": 1.33e-4, "ellipkinc": 1.24e-4, "ellipeinc": 8.3e-5, "jv": 1.64e-3, "yv": 1.5e-5, "kv": 2.5e-5,
    "iv": 9.3e-3, "lpmv0": 5.3e-5, "lpmv1": 6.9e-4, "lpmv2": 2.3e-4, "sph01": 2.2e-7, "sph11": 1.2e-4,
    "sph02": 2.0e-7, "sph12": 1.5e-5, "sph22": 9.5e-5,
}  # fmt: skip
"""The best RMSE of a KAN in table 1 of arXiv 2404.19756, whose domains and orders are not stated."""


def ours(name: str, seed: int) -> dict:
    function = KNOWN_FUNCTIONS[name]
    x, y = function.sample(ROWS, seed)
    new_x, new_y = function.sample(ROWS, TEST_SEED + seed)
    basis = fk.BSpline(grid_size=GRID, degree=DEGREE, outside="linear")
    generator = torch.Generator().manual_seed(seed)
    widths = list(function.widths)
    norm = fk.FeatureNorm(margin=0.02)  # the rows fill the domain
    net = fk.KAN(widths, basis=basis, norm=norm, base="silu", dtype=torch.float64, generator=generator)
    start, cpu = time.perf_counter(), time.process_time()
    result = fk.fit(net, x, y, seed=seed, progress=False)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    with torch.no_grad():
        errors = (net(new_x) - new_y).abs()
    return {
        "system": "fasterkan",
        "test_rmse": float(errors.square().mean().sqrt()),
        "test_median_error": float(errors.median()),
        "held_out": result.held_out,
        "grid": result.grid,
        "parameters": sum(p.numel() for p in net.parameters()),
        "stopped": result.stopped,
        "seconds": seconds,
        "cpu_seconds": cpu,
    }


THEIRS = """
import json, os, sys, time, warnings
warnings.filterwarnings("ignore")
import numpy as np, torch
from kan import KAN
folder, widths, grids, steps, seed = sys.argv[1], *map(json.loads, sys.argv[2:])
torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
os.chdir(folder)
os.makedirs("model", exist_ok=True)
data = {k: torch.from_numpy(v).float() for k, v in np.load("data.npz").items()}
start, cpu, errors = time.perf_counter(), time.process_time(), {}
for i, grid in enumerate(grids):
    net = net.refine(grid) if i else KAN(width=widths, grid=grid, k=3, seed=seed, device="cpu")
    net.fit(data, opt="LBFGS", steps=steps)
    with torch.no_grad():
        difference = (net(data["test_input"]) - data["test_label"]).abs()
    errors[grid] = float(difference.square().mean().sqrt())
used = time.perf_counter() - start, time.process_time() - cpu
parameters = sum(p.numel() for p in net.parameters())
json.dump([errors, float(difference.median()), *used, parameters], open("result.json", "w"))
"""


def theirs(python: str, name: str, seed: int) -> dict:
    function = KNOWN_FUNCTIONS[name]
    x, y = function.sample(ROWS, seed)
    new_x, new_y = function.sample(ROWS, TEST_SEED + seed)
    with tempfile.TemporaryDirectory() as folder:
        table = {"train_input": x, "train_label": y, "test_input": new_x, "test_label": new_y}
        np.savez(Path(folder) / "data.npz", **{key: tensor.numpy() for key, tensor in table.items()})
        arguments = [folder, *map(json.dumps, (function.widths, PYKAN_GRIDS, PYKAN_STEPS, seed))]
        done = subprocess.run([python, "-c", THEIRS, *arguments], capture_output=True, text=True, check=False)
        answer = Path(folder) / "result.json"
        if not answer.exists():
            return {"system": "pykan", "error": done.stderr.strip().splitlines()[-1:] or ["no answer"]}
        errors, median, seconds, cpu, parameters = json.loads(answer.read_text())
    return {
        "system": "pykan",
        "test_rmse": errors[str(PYKAN_GRIDS[-1])],
        "test_median_error": median,
        "test_rmse_by_grid": errors,
        "best_test_rmse": min(errors.values()),
        "parameters": parameters,
        "seconds": seconds,
        "cpu_seconds": cpu,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pykan", metavar="PYTHON", help="an interpreter that has pykan 0.2.8")
    parser.add_argument("--functions", default=",".join(KNOWN_FUNCTIONS))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--out", type=Path, default=RESULTS / "fit.jsonl")
    options = parser.parse_args()
    lines = [json.loads(line) for line in options.out.read_text().splitlines()] if options.out.exists() else []
    done = {(row["function"], row["seed"], row["system"]) for row in lines if "function" in row}
    if not lines:
        options.out.parent.mkdir(exist_ok=True)
        options.out.write_text(json.dumps({"machine": machine()}) + "\n")
    for name in options.functions.split(","):
        for seed in map(int, options.seeds.split(",")):
            for system in ("fasterkan", *(["pykan"] if options.pykan else [])):
                if (name, seed, system) in done:
                    continue
                row = ours(name, seed) if system == "fasterkan" else theirs(options.pykan, name, seed)
                row = {"function": name, "seed": seed, "paper": PAPER.get(name), **row}
                with options.out.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                print({key: row.get(key) for key in ("function", "seed", "system", "test_rmse", "seconds", "error")})
                sys.stdout.flush()


if __name__ == "__main__":
    main()
