"""Write the zips in `whole/`: whole pickled models of the original, made by its own code of several commits.

    python tests/models/golden/make_whole.py REPOSITORY

REPOSITORY is a clone of AthanasiosDelis/faster-kan. Each zip holds `model.pt`, which `torch.save(model, path)` of the
original wrote, and `expected.safetensors`: inputs `x`, the original's outputs `y` in eval mode, and in the metadata the
commit and the arguments. Large tensors repeat a few numbers, so that the zips are small.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import io
import json
import multiprocessing
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
import torch
from torch import nn

HERE = Path(__file__).parent / "whole"
_spec = importlib.util.spec_from_file_location("golden_make", Path(__file__).parent / "make.py")
assert _spec is not None
assert _spec.loader is not None
make = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make)


class Whole(NamedTuple):
    """One model: where its class lies at which commit, its arguments, and how many numbers an input has."""

    commit: str
    module: str
    name: str
    arguments: dict[str, Any]
    inputs: int
    parallel: bool = False


LAST = "3bcabc25c1ed5bceb04d58a8c73756a9fe54e81b"
LEARNED = {"layers_hidden": [5, 4, 3], "num_grids": 4, "train_grid": True, "train_inv_denominator": True}
MODELS = {
    "fasterkan": Whole(LAST, "fasterkan.fasterkan", "FasterKAN", LEARNED, 5),
    "fasterkan-parallel": Whole(LAST, "fasterkan.fasterkan", "FasterKAN", {"layers_hidden": [5, 3]}, 5, parallel=True),
    "volver": Whole(
        LAST, "fasterkan.fasterkan", "FasterKANvolver", {"layers_hidden": [6, 3], "view": [-1, 2, 18, 20]}, 720
    ),
    "one-module": Whole(
        "2659ebc9e5b7a2af2a9eaae4a5273ddedd2c656b", "fasterkan.fasterkan", "FasterKAN", {"layers_hidden": [5, 4, 3]}, 5
    ),
    "first": Whole(
        "8a89158d643eacad56dd43838819809a0f8d5888",
        "fastkan.fasterkan",
        "FasterKAN",
        {"layers_hidden": [5, 4, 3], "denominator": 0.5},
        5,
    ),
}
"""The classes lay in fastkan/fasterkan.py at first, then all in fasterkan/fasterkan.py, at last in four modules."""


def disturb(model: nn.Module, whole: Whole) -> None:
    """Give every tensor numbers that no initialisation gives; centres that are learned move, others stay."""
    old = model.state_dict()
    shapes = {name: tuple(tensor.shape) for name, tensor in old.items()}
    state = {name: old[name] if "rbf" in name else tensor for name, tensor in make.formula_state(shapes).items()}
    for name, tensor in state.items():
        if tensor.numel() > 5000:
            state[name] = tensor.flatten()[:97].repeat(tensor.numel() // 97 + 1)[: tensor.numel()].view(tensor.shape)
    model.load_state_dict(state)
    if "train_grid" in whole.arguments:
        make.train(model, whole.inputs, whole.arguments["layers_hidden"][-1])


def write(name: str, folder: str) -> None:
    """Write one zip with the code in `folder`; in a process of its own, since every commit's package has one name."""
    whole = MODELS[name]
    sys.path.insert(0, folder)
    module = importlib.import_module(whole.module)
    assert Path(module.__file__ or "").is_relative_to(folder), module.__file__
    torch.manual_seed(0)
    model = getattr(module, whole.name)(**whole.arguments).eval()
    disturb(model, whole)
    x = make.uniform((4, whole.inputs), 300, -2.0, 3.0)
    about = {
        "repository": make.REPOSITORY,
        "commit": whole.commit,
        "arguments": json.dumps(whole.arguments),
        "torch": torch.__version__,
    }
    buffer = io.BytesIO()
    torch.save(nn.DataParallel(model) if whole.parallel else model, buffer)
    files = {
        "model.pt": buffer.getvalue(),
        "expected.safetensors": safetensors.torch.save({"x": x, "y": model(x).detach()}, metadata=about),
    }
    with zipfile.ZipFile(HERE / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        for file, data in files.items():
            packed.writestr(zipfile.ZipInfo(file), data, zipfile.ZIP_DEFLATED)
    print(f"{name}: {(HERE / f'{name}.zip').stat().st_size} bytes")


def main() -> None:
    """Write every zip."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("repository", type=Path)
    repository = parser.parse_args().repository
    HERE.mkdir(exist_ok=True)
    for name, whole in MODELS.items():
        with tempfile.TemporaryDirectory() as folder:
            archive = ["git", "-C", str(repository), "archive", whole.commit]
            code = subprocess.run(archive, capture_output=True, check=True).stdout
            subprocess.run(["tar", "x", "-C", folder], input=code, check=True)
            process = multiprocessing.get_context("spawn").Process(target=write, args=(name, folder))
            process.start()
            process.join()
            assert process.exitcode == 0, name


if __name__ == "__main__":
    main()
