"""Peak memory and time of a training step of [1024, 1024, 1024] at batch 8192 on the CPU, ours and the plain formula.

python benchmarks/memory.py [--original CHECKOUT] [--threads 2] [--repeats 3]

The peak is that of the allocations of one step (forward, loss, backward) as torch's profiler records them, weight
gradients included, beyond parameters and input; the rise of the resident memory of a process of its own is the check.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import torch
from _common import interleave, original, write_results

import fasterkan as fk

LAYERS, BATCH, MIB = [1024, 1024, 1024], 8192, 1 << 20
SUBJECTS = ("KAN, first_affine=False", "KAN", "FasterKAN", "plain formula", "original FasterKAN")


def build(subject: str, checkout: Path | None) -> torch.nn.Module:
    """Return the subject's network."""
    if subject == "original FasterKAN":
        assert checkout is not None
        module: torch.nn.Module = original(checkout).FasterKAN(LAYERS)
        return module
    if subject == "FasterKAN":
        return fk.FasterKAN(LAYERS)
    net = fk.KAN(LAYERS, first_affine=subject == "KAN")
    if subject == "plain formula":
        for layer in net.kan_layers():
            layer.path = "reference"
    return net


def step(model: torch.nn.Module, x: torch.Tensor) -> None:
    """Forward, mean square, backward."""
    model.zero_grad(set_to_none=True)
    model(x).square().mean().backward()


def peak_of_allocations(model: torch.nn.Module, x: torch.Tensor) -> int:
    """Return the largest sum of live allocations during one step, in bytes."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True, record_shapes=False) as profiler:
        step(model, x)
    live = peak = 0
    events = [e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"]
    for event in sorted(events, key=lambda e: e.start_ns()):
        live += event.nbytes()
        peak = max(peak, live)
    return peak


def resident_peak() -> int:
    """Return the largest resident memory of this process so far, in bytes (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def measure_alone(subject: str, checkout: Path | None, threads: int) -> None:
    """Print peak and resident rise of one step as JSON; run in a process of its own."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model, x = build(subject, checkout), torch.randn(BATCH, LAYERS[0])
    before = resident_peak()
    step(model, x)
    rise = resident_peak() - before
    model.zero_grad(set_to_none=True)
    print(json.dumps({"peak_mib": peak_of_allocations(model, x) / MIB, "resident_rise_mib": rise / MIB}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--original", type=Path, help="a checkout of AthanasiosDelis/faster-kan")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--alone", choices=SUBJECTS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.alone:
        measure_alone(args.alone, args.original, args.threads)
        return
    subjects = [s for s in SUBJECTS if args.original or s != "original FasterKAN"]
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    x = torch.randn(BATCH, LAYERS[0])
    models = {s: build(s, args.original) for s in subjects}
    times = interleave({s: (lambda m=m: step(m, x)) for s, m in models.items()}, args.repeats, warmup=1)
    rows = []
    print(f"{'subject':28} {'peak MiB':>9} {'resident MiB':>13} {'step ms':>9}")
    for subject in subjects:
        command = [sys.executable, __file__, "--alone", subject, "--threads", str(args.threads)]
        command += ["--original", str(args.original)] if args.original else []
        alone = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])
        rows.append({"subject": subject, "layers": LAYERS, "batch": BATCH, **alone, "step": times[subject]})
        print(
            f"{subject:28} {alone['peak_mib']:9.0f} {alone['resident_rise_mib']:13.0f} "
            f"{times[subject]['median_ms']:9.0f}"
        )
    print(f"written to {write_results('memory', rows)}")


if __name__ == "__main__":
    main()
