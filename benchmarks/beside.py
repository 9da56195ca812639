"""This checkout beside another one of fasterkan, an older commit say: forwards and steps of layers, in turns.

    git worktree add ../before faff47c
    python benchmarks/beside.py ../before                # one thread, pinned; results/beside.jsonl
    python benchmarks/beside.py ../before --only small

Each turn is a process of its own for each checkout. The figures are the fastest call, and the lower quartile of the
best turn: what other programs on the machine take away hardly enters them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from _common import ROOT, write_results
from torch import Tensor, nn


def cases() -> dict[str, Callable[[], object]]:
    """What is timed, with the fasterkan that is imported."""
    import fasterkan as fk

    torch.manual_seed(0)
    images, wide, few = torch.rand(64, 784), torch.randn(256, 1024), torch.randn(4, 8)
    kan = fk.KAN([784, 256, 10], first_affine=False)
    spline = fk.KAN([784, 256, 10], fk.BSpline(), first_affine=False, base="silu")
    small, plain = fk.KANLinear(8, 8), nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 8))
    return {
        "KAN [784, 256, 10], batch 64, step": step(kan, images),
        "KAN [784, 256, 10], batch 64, inference": inference(kan, images),
        "FasterKAN [784, 256, 10], batch 64, step": step(fk.FasterKAN([784, 256, 10]), images),
        "B-spline and SiLU [784, 256, 10], batch 64, step": step(spline, images),
        "KAN [1024, 1024, 1024], batch 256, step": step(fk.KAN([1024] * 3), wide),
        "KANConv2d(16, 32, 3), 16 x 28 x 28, batch 16, step": step(
            fk.KANConv2d(16, 32, 3, padding=1), torch.randn(16, 16, 28, 28)
        ),
        "small: KANLinear(8, 8), 4 rows, inference": inference(small, few),
        "small: KANLinear(8, 8), 4 rows, forward for a gradient": lambda: small(few),
        "small: KANLinear(8, 8), 4 rows, step": step(small, few),
        "small: LayerNorm and Linear(8, 8), 4 rows, inference": inference(plain, few),
        "small: LayerNorm and Linear(8, 8), 4 rows, forward for a gradient": lambda: plain(few),
    }


def step(net: nn.Module, x: Tensor) -> Callable[[], object]:
    """Forward, loss and backward."""

    def run() -> None:
        net.zero_grad()
        net(x).square().mean().backward()

    return run


def inference(net: nn.Module, x: Tensor) -> Callable[[], object]:
    """Forward without a graph."""

    def run() -> None:
        with torch.no_grad():
            net(x)

    return run


def measure(only: str, seconds: float) -> dict[str, tuple[float, float]]:
    """The fastest call and the lower quartile of each case, in microseconds."""
    found = {}
    for name, call in cases().items():
        if only not in name:
            continue
        call()
        times, end = [], time.perf_counter() + seconds
        while time.perf_counter() < end or len(times) < 5:
            start = time.perf_counter()
            call()
            times.append(1e6 * (time.perf_counter() - start))
        times.sort()
        found[name] = times[0], times[len(times) // 4]
    return found


def turn(checkout: Path, args: argparse.Namespace) -> dict[str, tuple[float, float]]:
    """Measure in a process that imports a checkout."""
    environment = {**os.environ, "PYTHONPATH": str(checkout.resolve() / "src"), "OMP_NUM_THREADS": str(args.threads)}
    command = [
        sys.executable,
        __file__,
        str(checkout),
        "--measure",
        "--only",
        args.only,
        "--seconds",
        str(args.seconds),
    ]
    pinned = ["taskset", "-c", ",".join(map(str, range(args.threads)))] if sys.platform == "linux" else []
    done = subprocess.run([*pinned, *command], env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path, help="the other checkout")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.25, help="of each case in a turn")
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measure(args.only, args.seconds)))
        return
    turns: dict[str, list[dict[str, Any]]] = {"before": [], "after": []}
    for _ in range(args.turns):
        turns["before"].append(turn(args.checkout, args))
        turns["after"].append(turn(ROOT, args))
    rows = []
    for name in turns["after"][0]:
        row: dict[str, Any] = {"case": name}
        for which, found in turns.items():
            row[f"{which}_best_us"], row[f"{which}_quartile_us"] = (
                round(min(f[name][i] for f in found), 1) for i in (0, 1)
            )
        row["ratio"] = round(row["after_best_us"] / row["before_best_us"], 3)
        rows.append(row)
        print(row)
    write_results("beside", rows)


if __name__ == "__main__":
    main()
