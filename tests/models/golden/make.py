"""Write the golden files beside this one by running the original from a checkout of AthanasiosDelis/faster-kan.

    python tests/models/golden/make.py CHECKOUT [--commit SHA]

Each file holds inputs `x`, the original's outputs `y` in eval mode, and a FasterKAN's state dict under `state.`. A
FasterKANvolver is too large for that: `formula_state` makes its tensors from the names and shapes, here and in the
tests, out of raw PCG64 words, which no version of NumPy or torch changes.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import subprocess
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

HERE = Path(__file__).parent
REPOSITORY = "https://github.com/AthanasiosDelis/faster-kan"

FASTERKAN: dict[str, dict[str, Any]] = {
    "fasterkan-12-7-5": {"layers_hidden": [12, 7, 5], "num_grids": 4},
    "fasterkan-20-16-8-3": {"layers_hidden": [20, 16, 8, 3], "grid_min": -2.0, "grid_max": 1.0, "inv_denominator": 5.0},
    "fasterkan-9-4": {"layers_hidden": [9, 4], "num_grids": 16, "exponent": 3, "spline_weight_init_scale": 0.1},
    "fasterkan-trained": {
        "layers_hidden": [10, 12, 4],
        "num_grids": 6,
        "train_grid": True,
        "train_inv_denominator": True,
    },
}
VOLVER: dict[str, dict[str, Any]] = {
    "volver-10": {"layers_hidden": [10], "view": [-1, 1, 28, 28]},
    "volver-64-32-16-10": {"layers_hidden": [64, 32, 16, 10], "grid_max": 1.2, "view": [-1, 3, 32, 32]},
    "volver-odd": {"layers_hidden": [7, 5], "num_grids": 5, "grid_min": -2.0, "view": [-1, 2, 19, 42]},
}


def uniform(shape: tuple[int, ...], seed: int, low: float = -1.0, high: float = 1.0) -> Tensor:
    """Float32 numbers in [low, high), from the upper 53 bits of PCG64's raw words."""
    words = np.random.PCG64(seed).random_raw(math.prod(shape))
    numbers = low + (high - low) * (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return torch.from_numpy(numbers.astype(np.float32).reshape(shape))


def formula_state(shapes: Mapping[str, tuple[int, ...]], low: float = -1.2, high: float = 0.2) -> dict[str, Tensor]:
    """Tensors for the original's names, far from what any initialisation gives, and alive through all layers."""
    state = {}
    for name, shape in shapes.items():
        seed, kind = zlib.crc32(name.encode()), name.rpartition(".")[2]
        if kind == "num_batches_tracked":
            state[name] = torch.tensor(1000 + seed % 1000)
        elif kind == "grid":
            state[name] = torch.from_numpy(np.linspace(low, high, *shape).astype(np.float32))
        elif kind == "inv_denominator":
            state[name] = torch.tensor(0.5)
        elif kind == "running_var" or (kind == "weight" and len(shape) == 1):
            state[name] = uniform(shape, seed, 0.5, 1.5)
        elif kind == "gamma":
            state[name] = torch.tensor([0.7])
        else:
            gain = 5.0 if "query" in name or "key" in name or ".fc." in name else 1.0  # gates and attention that choose
            scale = gain * (3.0 / math.prod(shape[1:])) ** 0.5 if kind == "weight" else 0.2
            state[name] = uniform(shape, seed, -scale, scale)
    return state


def original(checkout: Path) -> Any:
    """The original's module of models; nothing of this project may be imported beside it."""
    sys.path.insert(0, str(checkout.resolve()))
    module = importlib.import_module("fasterkan.fasterkan")
    if not Path(module.__file__ or "").is_relative_to(checkout.resolve()):
        raise SystemExit(f"{checkout} holds no package fasterkan: give a checkout of {REPOSITORY}")
    return module


def train(model: torch.nn.Module, features: int, classes: int) -> None:
    """A few steps on numbers of their own, large enough to move the centres apart."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    for step in range(20):
        x = uniform((32, features), 1000 + step)
        loss = torch.nn.functional.cross_entropy(model(x), (x[:, :classes]).argmax(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def write(name: str, tensors: dict[str, Tensor], about: dict[str, str], arguments: dict[str, Any]) -> None:
    """Write one file, with where its numbers come from."""
    metadata = {**about, "arguments": json.dumps(arguments), "torch": torch.__version__}
    data = safetensors.torch.save({k: t.detach().contiguous() for k, t in tensors.items()}, metadata=metadata)
    (HERE / f"{name}.safetensors").write_bytes(data)
    print(f"{name}: {len(data)} bytes")


def main() -> None:
    """Run the original and write every file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--commit", help="of a checkout without its git folder")
    options = parser.parse_args()
    head = ["git", "-C", str(options.checkout), "rev-parse", "HEAD"]
    commit = options.commit or subprocess.run(head, capture_output=True, text=True, check=True).stdout.strip()
    about = {"repository": REPOSITORY, "commit": commit}
    theirs = original(options.checkout)
    torch.manual_seed(0)
    for number, (name, arguments) in enumerate(FASTERKAN.items()):
        model, widths = theirs.FasterKAN(**arguments), arguments["layers_hidden"]
        for parameter in (p for n, p in model.named_parameters() if "layernorm" in n):  # no longer ones and zeros
            parameter.data += uniform(tuple(parameter.shape), number, -0.3, 0.3)
        if name.endswith("trained"):
            train(model, widths[0], widths[-1])
        x = uniform((6, widths[0]), 100 + number, -2.0, 3.0)
        state = {f"state.{n}": t for n, t in model.state_dict().items()}
        write(name, {"x": x, "y": model.eval()(x), **state}, about, arguments)
    for number, (name, arguments) in enumerate(VOLVER.items()):
        model = theirs.FasterKANvolver(**arguments)
        shapes = {n: tuple(t.shape) for n, t in model.state_dict().items()}
        ends = {"low": arguments.get("grid_min", -1.2), "high": arguments.get("grid_max", 0.2)}
        model.load_state_dict(formula_state(shapes, **ends))
        x = uniform((3, math.prod(arguments["view"][1:])), 200 + number, 0.0, 1.0)
        x *= torch.linspace(0.0, 1.0, x.shape[1]) ** torch.arange(3.0).unsqueeze(1)  # noise, and noise that fades
        write(name, {"x": x, "y": model.eval()(x)}, {**about, "shapes": json.dumps(shapes)}, arguments)


if __name__ == "__main__":
    main()
