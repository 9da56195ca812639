"""Step time of 3 x 3 convolutions on the CPU: ours, the plain formula, torch-conv-kan's counterparts, a plain conv.

python benchmarks/conv.py [--torch-conv-kan CHECKOUT] [--threads 2] [--repeats 10]

64 channels in and out, images of 32 x 32, batch 32, padding 1, float32; a step is forward, mean square, backward with
the input's gradient. Counterparts have the same number of functions and a base branch, as theirs have; theirs normalise
over the image (InstanceNorm) where ours do over a pixel's channels. "the product alone" is the convolution of a ready
panel [32, 64 * K, 32, 32], forward and backward, with its memory channels-last: what any formulation has to pay.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import torch
from _common import interleave, write_results
from memory import peak_of_allocations

import fasterkan as fk

CHANNELS, SIZE, BATCH, MIB = 64, 32, 32, 1 << 20


def load(name: str, path: Path) -> ModuleType:
    """Import one file of the checkout under this name, without its package and what that would import."""
    if not path.is_file():
        raise SystemExit(f"{path} is missing: give a checkout of IvanDrokin/torch-conv-kan")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def theirs(checkout: Path) -> dict[str, torch.nn.Module]:
    """Return the counterparts of a checkout of torch-conv-kan."""
    load("kans", checkout / "kans/utils.py")  # what their module imports from their package of that name
    fast = load("fast_kan_conv", checkout / "kan_convs/fast_kan_conv.py").FastKANConv2DLayer
    spline = load("kan_conv", checkout / "kan_convs/kan_conv.py").KANConv2DLayer
    return {
        "torch-conv-kan FastKANConv2DLayer": fast(CHANNELS, CHANNELS, 3, padding=1, grid_size=8),
        "torch-conv-kan KANConv2DLayer": spline(CHANNELS, CHANNELS, 3, padding=1, spline_order=3, grid_size=5),
    }


def ours() -> dict[str, torch.nn.Module]:
    """Return our layers, 8 functions each."""

    def conv(basis: fk.Basis, **options: object) -> torch.nn.Module:
        return fk.KANConv2d(CHANNELS, CHANNELS, 3, padding=1, basis=basis, **options)

    plain = fk.KANConv2d(CHANNELS, CHANNELS, 3, padding=1)
    plain.path = "reference"
    found = {
        "KANConv2d, RSWAF": conv(fk.RSWAF()),
        "KANConv2d, RSWAF, base": conv(fk.RSWAF(), base="silu"),
        "the same by the plain formula": plain,
    }
    if hasattr(fk, "Gaussian"):
        found["KANConv2d, Gaussian, base"] = conv(fk.Gaussian(num_grids=8), base="silu")
    if hasattr(fk, "BSpline"):
        found["KANConv2d, BSpline, base"] = conv(fk.BSpline(grid_size=5, degree=3), base="gelu")
    return found


def step(model: torch.nn.Module, x: torch.Tensor) -> Callable[[], None]:
    """Return forward, mean square and backward, the input's gradient included."""

    def run() -> None:
        model.zero_grad(set_to_none=True)
        x.grad = None
        model(x).square().mean().backward()

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch-conv-kan", type=Path, help="a checkout of IvanDrokin/torch-conv-kan")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=10)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)

    models = ours() | (theirs(args.torch_conv_kan) if args.torch_conv_kan else {})
    models["plain Conv2d of 64 channels"] = torch.nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)
    models["the product alone"] = torch.nn.Conv2d(8 * CHANNELS, CHANNELS, 3, padding=1).to(
        memory_format=torch.channels_last
    )
    x = torch.randn(BATCH, CHANNELS, SIZE, SIZE, requires_grad=True)
    panel = torch.randn(BATCH, 8 * CHANNELS, SIZE, SIZE).contiguous(memory_format=torch.channels_last).requires_grad_()
    inputs = {name: panel if name == "the product alone" else x for name in models}
    times = interleave({name: step(model, inputs[name]) for name, model in models.items()}, args.repeats)
    rows = [
        {
            "subject": name,
            "channels": CHANNELS,
            "size": SIZE,
            "batch": BATCH,
            "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
            "step": times[name],
            "peak_mib": peak_of_allocations(model, inputs[name]) / MIB,
        }
        for name, model in models.items()
    ]
    print(f"{'subject':36} {'parameters':>10} {'step ms':>9} {'p20':>7} {'peak MiB':>9}")
    for row in rows:
        print(
            f"{row['subject']:36} {row['parameters']:10} {row['step']['median_ms']:9.1f} "
            f"{row['step']['p20_ms']:7.1f} {row['peak_mib']:9.0f}"
        )
    print(f"written to {write_results('conv', rows)}")


if __name__ == "__main__":
    main()
