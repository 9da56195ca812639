"""What the benchmark scripts share: interleaved timing, the machine's fingerprint, the original model, result files."""

from __future__ import annotations

import importlib
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import fasterkan

RESULTS = Path(__file__).parent / "results"
ROOT = Path(__file__).parents[1]


def interleave(
    subjects: dict[str, Callable[[], object]], repeats: int, *, warmup: int = 2, turn: int = 1
) -> dict[str, dict[str, float]]:
    """Run the subjects in turn, `repeats` rounds; return median, p20 and p80 in milliseconds for each.

    With `turn` above 1 each turn is so many calls after an untimed one, so that a subject finds its own data in the
    cache, as it does in a training loop.
    """
    times: dict[str, list[float]] = {name: [] for name in subjects}
    for round_ in range(-warmup, repeats):
        for name, run in subjects.items():
            if turn > 1:
                run()
            for _ in range(turn):
                start = time.perf_counter()
                run()
                if round_ >= 0:
                    times[name].append((time.perf_counter() - start) * 1e3)
    return {
        name: {
            "median_ms": statistics.median(t),
            "p20_ms": statistics.quantiles(t, n=5)[0],
            "p80_ms": statistics.quantiles(t, n=5)[3],
        }
        for name, t in times.items()
    }


def machine() -> dict[str, Any]:
    """Processor, threads, versions and commit, as every result carries them."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    return {
        "cpu": names[0] if names else platform.processor(),
        "vector": "AVX-512" if "avx512f" in flags else "AVX2" if "avx2" in flags else "unknown",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "fasterkan": fasterkan.__version__,
        "commit": commit.stdout.strip() or "unknown",
    }


def write_results(name: str, rows: list[dict[str, Any]]) -> Path:
    """Write `results/NAME.jsonl`: the machine first, then a line a result."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in [{"machine": machine()}, *rows]))
    return path


def original(checkout: Path) -> Any:
    """Import the original FasterKAN from a checkout of its repository, whose package is called fasterkan too."""
    ours = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == "fasterkan"}
    sys.path.insert(0, str(checkout))
    try:
        theirs = importlib.import_module("fasterkan.fasterkan")
    finally:
        sys.path.remove(str(checkout))
        for name in [n for n in sys.modules if n.split(".")[0] == "fasterkan"]:
            del sys.modules[name]
        sys.modules.update(ours)
    if not str(theirs.__file__).startswith(str(checkout.resolve())) and not str(theirs.__file__).startswith(
        str(checkout)
    ):
        raise SystemExit(f"{checkout} holds no package fasterkan: give a checkout of AthanasiosDelis/faster-kan")
    return theirs


def step(model: torch.nn.Module, x: torch.Tensor, labels: torch.Tensor) -> Callable[[], None]:
    """Return one training step without the optimiser: forward, cross-entropy, backward."""

    def run() -> None:
        model.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(model(x), labels).backward()

    return run
