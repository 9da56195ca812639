"""What it costs to put KANLinear where nn.Linear stood: the plain swap, and the swap with a narrower hidden layer.

    python benchmarks/plain_swap.py                 # writes results/plain_swap_amd.jsonl or plain_swap_intel.jsonl

Two layers of nn.Linear with ReLU, the same widths with KANLinear, and KANLinear with as many parameters. Step (forward,
cross-entropy, backward) and inference at batch 256, one thread, each subject in turn.
"""

from __future__ import annotations

import argparse
import functools

import torch
from _common import interleave, machine, step, write_results
from torch import nn

import fasterkan as fk

WIDTHS, BATCH = ([784, 256, 10], [512, 512, 512], [64, 256, 64]), 256


def parameters(model: nn.Module) -> int:
    """The number of learned numbers."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def subjects(widths: list[int]) -> dict[str, tuple[list[int], nn.Module]]:
    """The MLP and the two KANs, with their widths."""
    inputs, hidden, outputs = widths
    mlp = nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))
    sizes = {n: parameters(fk.KAN([inputs, n, outputs], first_affine=False, device="meta")) for n in range(8, hidden)}
    narrow = [inputs, max(n for n, size in sizes.items() if size <= parameters(mlp)), outputs]
    return {
        "nn.Linear": (widths, mlp),
        "KANLinear, same widths": (widths, fk.KAN(widths, first_affine=False)),
        "KANLinear, same parameters": (narrow, fk.KAN(narrow, first_affine=False)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=25)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rows = []
    for widths in WIDTHS:
        models = subjects(widths)
        x, labels = torch.randn(BATCH, widths[0]), torch.randint(widths[-1], (BATCH,))
        steps = interleave({n: step(m, x, labels) for n, (_, m) in models.items()}, args.repeats, turn=3)
        with torch.inference_mode():
            calls = {n: functools.partial(m, x) for n, (_, m) in models.items()}
            forwards = interleave(calls, args.repeats, turn=3)
        rows += [
            {
                "subject": name,
                "layers": own,
                "swapped": widths,
                "batch": BATCH,
                "parameters": parameters(model),
                "step": steps[name],
                "inference": forwards[name],
            }
            for name, (own, model) in models.items()
        ]
    maker = "intel" if "intel" in machine()["cpu"].lower() else "amd"
    print(f"written to {write_results(f'plain_swap_{maker}', rows)}")


if __name__ == "__main__":
    main()
