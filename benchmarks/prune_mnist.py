"""Prune the network of `make mnist` to a tenth of its edges by `fasterkan prune --keep 0.1`; what it costs and gains.

python benchmarks/prune_mnist.py [RUN ...] [--threads 2] [--repeats 40]

RUN are folders that `make mnist SEED=...` left; default runs/mnist-0, -1 and -2, as far as they are there. The smaller
network goes to RUN-pruned. Times are of a batch of 64: forward alone, and forward, cross-entropy and backward.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from _common import RESULTS, ROOT, interleave, machine, step

import fasterkan as fk
from fasterkan.data import train_validation_test
from fasterkan.interpret import size_of
from fasterkan.train import evaluate

SEEDS, BATCH = (0, 1, 2), 64


def prune(run: Path, words: list[str]) -> tuple[Path, float]:
    """Call the program; return the folder of the smaller network and the time it took."""
    folder = run.resolve().with_name(f"{run.name}-pruned")
    command = [sys.executable, "-m", "fasterkan", "prune", str(run), "--out", str(folder), "--overwrite", *words]
    start = time.perf_counter()
    subprocess.run(command, check=True)
    return folder, time.perf_counter() - start


def measured(models: dict[str, torch.nn.Module], repeats: int) -> dict[str, dict[str, Any]]:
    """Times of each network, taken in turn."""
    _, validation, test = train_validation_test("mnist")
    x = test.as_float()[:BATCH]
    steps = interleave({n: step(model, x, test.labels[:BATCH]) for n, model in models.items()}, repeats, turn=5)
    with torch.inference_mode():
        forwards = interleave({n: (lambda m=model: m(x)) for n, model in models.items()}, repeats, turn=5)
    return {
        name: {
            "edges": size_of(model).edges,
            "parameters": size_of(model).parameters,
            "validation_accuracy": evaluate(model, validation).accuracy,
            "test_accuracy": evaluate(model, test).accuracy,
            "forward": forwards[name],
            "step": steps[name],
        }
        for name, model in models.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--keep", type=float, default=0.1)
    parser.add_argument("--options", default="", help='further options of `fasterkan prune`, "--epochs 1 --rounds 2"')
    parser.add_argument("--out", type=Path, default=RESULTS / "prune_mnist.jsonl", help="file of the results")
    args = parser.parse_args()
    usual = [ROOT / "runs" / f"mnist-{seed}" for seed in SEEDS]
    runs = args.runs or [run for run in usual if run.is_dir()]
    if not runs:
        raise SystemExit("no run was found: run `make mnist` first, or give the folder of one")
    torch.set_num_threads(args.threads)
    rows = []
    for run in runs:
        folder, seconds = prune(run, ["--keep", str(args.keep), *args.options.split()])
        report = json.loads((folder / "report.json").read_text())
        models = {"before": fk.from_pretrained(run / "model"), "after": fk.from_pretrained(folder)}
        rows.append(
            {
                "run": run.name,
                "keep": args.keep,
                "options": args.options,
                "widths": report["widths_after"],
                "inputs": report["widths_before"][0] - len(report["removed_inputs"]),
                "seconds": seconds,
                **measured(models, args.repeats),
            }
        )
        print(json.dumps(rows[-1]), flush=True)
    args.out.write_text("".join(json.dumps(row) + "\n" for row in [{"machine": machine()}, *rows]))
    print(f"written to {args.out}")


if __name__ == "__main__":
    main()
