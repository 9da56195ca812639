"""Train the GPU recipes on MNIST with three seeds each and keep the results.

python benchmarks/mnist_gpu.py [CELL ...]

Without a name every cell is trained; the results of the others stay as they are. A run folder that is finished already
(`runs/mnist-gpu/CELL`, made by the cell's `fasterkan train` command) is read, not trained anew.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from _common import RESULTS, ROOT, write_results

from fasterkan.train import recipe, run_seeds

SEEDS = (0, 1, 2)
CELLS: dict[str, dict[str, Any]] = {
    "FasterKANvolver [64, 10]": {"name": "fasterkanvolver-gpu"},
    "FasterKANvolver [64, 32, 16, 10]": {"name": "fasterkanvolver-gpu", "layers": (64, 32, 16, 10)},
    "FasterKAN [784, 256, 10]": {"name": "fasterkan-gpu"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cells", nargs="*", default=list(CELLS), choices=list(CELLS), metavar="CELL")
    names = parser.parse_args().cells
    path = RESULTS / "mnist_gpu.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()[1:]] if path.exists() else []
    for cell in names:
        folder = ROOT / "runs" / "mnist-gpu" / cell
        if not (folder / "summary.json").exists():
            run_seeds(recipe(**CELLS[cell]), SEEDS, folder)
        rows = [row for row in rows if row["subject"] != cell] + seed_rows(cell, folder)
    rows.sort(key=lambda row: (list(CELLS).index(row["subject"]), row["seed"]))
    print(f"written to {write_results(path.stem, rows)}")


def seed_rows(cell: str, folder: Path) -> list[dict[str, Any]]:
    """A row a seed: the accuracies, the time, and what computed them."""
    about = json.loads((folder / "seed-0" / "result.json").read_text())
    facts = {
        "subject": cell,
        "epochs": about["epochs"],
        "device": about["machine"]["device"],
        "torch": about["versions"]["torch"],
    }
    return [{**facts, **one} for one in json.loads((folder / "summary.json").read_text())["runs"]]


if __name__ == "__main__":
    main()
