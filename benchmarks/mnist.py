"""Run `make mnist` for three seeds and keep the results.

python benchmarks/mnist.py
"""

from __future__ import annotations

import json
import subprocess

from _common import ROOT, write_results

SEEDS = (0, 1, 2)


def main() -> None:
    rows = []
    for seed in SEEDS:
        subprocess.run(["make", "mnist", f"SEED={seed}"], cwd=ROOT, check=True)
        result = json.loads((ROOT / "runs" / f"mnist-{seed}" / "result.json").read_text())
        rows.append({"seed": seed, **{k: v for k, v in result.items() if k not in ("versions", "machine")}})
    print(f"written to {write_results('mnist', rows)}")


if __name__ == "__main__":
    main()
