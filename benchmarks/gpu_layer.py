"""Step, forward, memory and host time of eager layers on a CUDA device, beside MLPs of equal parameters.

python benchmarks/gpu_layer.py [--rounds 25] [--cells 3]

The floor of [1024, 1024, 1024] with batch 8192, K = 8, in bfloat16 on an H100. A product of 8192 x 8192 by 1024 is
137 GFLOP: 174 us at 790 TFLOP/s. A step has 2 products forward and 3 backward (4 with an affine norm in the first
layer): 870 us (1044). A panel has 134 MB: writing it takes 45 us at 3 TB/s. A step writes two panels and reads one or
two of their gradients: at least 140 us (190). Loss, bias and weight casts pass over 17 to 50 MB each, together about
60 us. So no eager step of this form can be faster than about 1070 us (1290); the forward needs at least 440 us.

Prediction before the first run: forward 530 us and step 1450 us (1700 with the affine norm), where the path
"recompute" takes about 5 times as long; at batch 64 all times are those of the host.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from _common import write_results
from torch import nn

import fasterkan as fk

CELLS = (([1024, 1024, 1024], 8192), ([784, 256, 10], 64), ([784, 256, 10], 1024))
NUMBERS = ("bf16", "tf32")


def by(path: str, net: nn.Module) -> nn.Module:
    for layer in net.modules():
        if isinstance(layer, fk.KANLinear):
            layer.path = path
    return net


def mlp(layers: list[int], parameters: int) -> nn.Module:
    hidden = round((parameters - layers[-1]) / (layers[0] + layers[-1] + 1))
    return nn.Sequential(nn.Linear(layers[0], hidden), nn.ReLU(), nn.Linear(hidden, layers[-1]))


def subjects(layers: list[int]) -> dict[str, nn.Module]:
    kinds: dict[str, Callable[[], nn.Module]] = {
        "KAN, first_affine=False": lambda: fk.KAN(layers, first_affine=False),
        "KAN": lambda: fk.KAN(layers),
        "FasterKAN": lambda: fk.FasterKAN(layers),
        "KAN, BSpline": lambda: fk.KAN(layers, fk.BSpline(), first_affine=False),
    }
    found = {
        f"{name}, path {path}": by(path, make()) for name, make in kinds.items() for path in ("triton", "recompute")
    }
    parameters = sum(p.numel() for p in found["KAN, path triton"].parameters())
    found["MLP"] = mlp(layers, parameters)
    found["MLP, compiled"] = torch.compile(mlp(layers, parameters))  # type: ignore[assignment]
    return {name: net.cuda() for name, net in found.items()}


def calls(net: nn.Module, x: torch.Tensor, target: torch.Tensor, numbers: str) -> dict[str, Callable[[], object]]:
    def run() -> torch.Tensor:
        with torch.autocast("cuda", torch.bfloat16, enabled=numbers == "bf16"):
            return net(x)

    def forward() -> None:
        with torch.no_grad():
            run()

    def step() -> None:
        net.zero_grad(set_to_none=True)
        nn.functional.mse_loss(run().float(), target).backward()

    return {"forward": forward, "step": step}


TURN = 10
"""Calls in a turn. The host may run ahead of the device, as in a training loop; it does not wait between them."""


def times(runs: dict[Any, Callable[[], object]], rounds: int) -> dict[Any, dict[str, float]]:
    """Microseconds of a call on the device's clock: median, p20, p80; the subjects take turns."""
    found: dict[Any, list[float]] = {name: [] for name in runs}
    for round_, (name, run) in itertools.product(range(-3, rounds), runs.items()):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        run()
        start.record()
        for _ in range(TURN):
            run()
        end.record()
        torch.cuda.synchronize()
        if round_ >= 0:
            found[name].append(start.elapsed_time(end) * 1e3 / TURN)
    return {
        name: {
            "median_us": statistics.median(t),
            "p20_us": statistics.quantiles(t, n=5)[0],
            "p80_us": statistics.quantiles(t, n=5)[3],
        }
        for name, t in found.items()
    }


def peak(run: Callable[[], object], net: nn.Module) -> float:
    """MiB of a step beyond parameters, gradients and data."""
    run()
    net.zero_grad(set_to_none=True)
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    run()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


def host_times(repeats: int = 300) -> list[dict[str, Any]]:
    """Microseconds of the host for one eager layer 784 -> 256 with batch 64, without waiting for the device."""
    x = torch.randn(64, 784, device="cuda")
    layers = {
        "KANLinear, path triton": by("triton", fk.KANLinear(784, 256, device="cuda")),
        "KANLinear, path recompute": by("recompute", fk.KANLinear(784, 256, device="cuda")),
        "Linear": nn.Linear(784, 256, device="cuda"),
    }
    found: dict[str, dict[str, list[float]]] = {name: {"forward": [], "step": []} for name in layers}
    for round_, (name, layer) in itertools.product(range(-20, repeats), layers.items()):
        torch.cuda.synchronize()
        start = time.perf_counter()
        y = layer(x)
        middle = time.perf_counter()
        y.sum().backward()
        end = time.perf_counter()
        if round_ >= 0:
            found[name]["forward"].append((middle - start) * 1e6)
            found[name]["step"].append((end - start) * 1e6)
    return [
        {"subject": name, "host_us": {kind: statistics.median(t) for kind, t in each.items()}}
        for name, each in found.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--cells", type=int, default=len(CELLS), help="only the first so many")
    args = parser.parse_args()
    rows: list[dict[str, Any]] = [{"device": torch.cuda.get_device_name()}, *host_times()]
    print(*rows, sep="\n")
    for (layers, batch), numbers in itertools.product(CELLS[: args.cells], NUMBERS):
        torch.manual_seed(0)
        torch._dynamo.reset()
        torch.backends.cuda.matmul.allow_tf32 = numbers == "tf32"
        x, target = torch.randn(batch, layers[0], device="cuda"), torch.randn(batch, layers[-1], device="cuda")
        nets = subjects(layers)
        runs = {(name, kind): run for name, net in nets.items() for kind, run in calls(net, x, target, numbers).items()}
        peaks = {name: peak(runs[name, "step"], net) for name, net in nets.items()}
        found = times(runs, args.rounds)
        for name, net in nets.items():
            row = {
                "subject": name,
                "layers": layers,
                "batch": batch,
                "numbers": numbers,
                "parameters": sum(p.numel() for p in net.parameters()),
                "forward": found[name, "forward"],
                "step": found[name, "step"],
                "peak_mib": peaks[name],
            }
            rows.append(row)
            medians = (row["forward"]["median_us"], row["step"]["median_us"])
            print(f"{layers} {batch} {numbers} {name:40} {medians[0]:8.0f} {medians[1]:8.0f} {peaks[name]:7.0f} MiB")
        del nets, runs
        print(f"written to {write_results('gpu_layer', rows)}")


if __name__ == "__main__":
    main()
