"""Step and inference time of [784, 256, 10] at batch 64 on the CPU: ours, the plain formula, an MLP, the original.

python benchmarks/cpu_layer.py [--original CHECKOUT] [--threads 2] [--repeats 200]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from _common import interleave, original, step, write_results

import fasterkan as fk

LAYERS, BATCH = [784, 256, 10], 64


def mlp_of_equal_parameters(parameters: int) -> torch.nn.Module:
    """784 -> h -> 10 with the h that comes nearest."""
    hidden = round((parameters - LAYERS[-1]) / (LAYERS[0] + LAYERS[-1] + 1))
    return torch.nn.Sequential(torch.nn.Linear(LAYERS[0], hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, LAYERS[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--original", type=Path, help="a checkout of AthanasiosDelis/faster-kan")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument(
        "--turn", type=int, default=5, help="steps in a turn; results of others than 5 go to a file apart"
    )
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)

    plain = fk.KAN(LAYERS, first_affine=False)
    for layer in plain.kan_layers():
        layer.path = "reference"
    models = {
        "KAN, first_affine=False": fk.KAN(LAYERS, first_affine=False),
        "FasterKAN": fk.FasterKAN(LAYERS),
        "the same KAN by the plain formula": plain,
    }
    models["MLP of equal parameters"] = mlp_of_equal_parameters(
        sum(p.numel() for p in models["FasterKAN"].parameters())
    )
    if args.original:
        models["original FasterKAN"] = original(args.original).FasterKAN(LAYERS)

    x, labels = torch.randn(BATCH, LAYERS[0]), torch.randint(LAYERS[-1], (BATCH,))
    steps = interleave({name: step(model, x, labels) for name, model in models.items()}, args.repeats, turn=args.turn)
    with torch.inference_mode():
        forwards = interleave({n: (lambda m=m: m(x)) for n, m in models.items()}, args.repeats, turn=args.turn)
    rows = [
        {
            "subject": name,
            "layers": LAYERS,
            "batch": BATCH,
            "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
            "step": steps[name],
            "inference": forwards[name],
        }
        for name, model in models.items()
    ]
    path = write_results("cpu_layer" if args.turn == 5 else f"cpu_layer_turn{args.turn}", rows)
    print(f"{'subject':36} {'parameters':>10} {'step ms':>9} {'inference ms':>13}")
    for row in rows:
        print(
            f"{row['subject']:36} {row['parameters']:10} {row['step']['median_ms']:9.2f} "
            f"{row['inference']['median_ms']:13.2f}"
        )
    if args.original:
        base = steps["original FasterKAN"]["median_ms"]
        for name in list(models)[:2]:
            print(f"{name}: {base / steps[name]['median_ms']:.2f} x as fast a step as the original")
    print(f"written to {path}")


if __name__ == "__main__":
    main()
