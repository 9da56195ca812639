"""Write the golden files in `peers/` by running the originals of the compared systems.

    python tests/models/golden/make_peers.py SOURCE CHECKOUT [--commit SHA]

SOURCE is a key of `ORIGINALS`; CHECKOUT a checkout of its repository, for "pykan" a folder that holds the package kan
of the release on PyPI (`--commit 0.2.8`). Each file holds inputs `x`, some of them far outside the grid, the original's
outputs `y` in eval mode and its state dict under `state.` (a KANvolver's is too large: `make.formula_state` makes its
tensors); the metadata say which commit, file and arguments made it. Parameters that start at 0 or 1 are moved away from
there; splines' grids are updated on skewed data, and edges cut, where the file's name says so. The originals of
"rbf-kan" and "wav-kan" import torchvision and tqdm, which may be empty modules. Tests read the files with `read`; they
hold data alone.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

HERE = Path(__file__).parent / "peers"
Maker = Callable[[Any, dict[str, Any]], nn.Module]


_spec = importlib.util.spec_from_file_location("golden_make", Path(__file__).parent / "make.py")
assert _spec is not None
assert _spec.loader is not None
make = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make)
uniform = make.uniform


class Golden(NamedTuple):
    """One file: the original's state dict, inputs, outputs, arguments, and all metadata."""

    state: dict[str, Tensor]
    x: Tensor
    y: Tensor
    arguments: dict[str, Any]
    about: dict[str, str]


def read(name: str) -> Golden:
    """Return the file `name` in `peers/`."""
    with safetensors.safe_open(HERE / f"{name}.safetensors", "pt") as opened:
        about, tensors = opened.metadata(), {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
    state = {key.removeprefix("state."): t for key, t in tensors.items() if key.startswith("state.")}
    if "shapes" in about:
        state = make.formula_state({key: tuple(shape) for key, shape in json.loads(about["shapes"]).items()})
    return Golden(state, tensors["x"], tensors["y"], json.loads(about["arguments"]), about)


def cheby(module: Any, arguments: dict[str, Any]) -> nn.Module:
    """Layers as in the project's MNIST notebook: LayerNorm between them."""
    widths, degree = arguments["layers"], arguments["degree"]
    net = nn.Module()
    for n, (i, o) in enumerate(pairwise(widths), 1):
        net.add_module(f"chebykan{n}", module.ChebyKANLayer(i, o, degree))
        if n < len(widths) - 1 and arguments["layernorm"]:
            net.add_module(f"ln{n}", nn.LayerNorm(o))
    net.forward = lambda x: nn.Sequential(*net.children())(x)
    return net


def fourier(module: Any, arguments: dict[str, Any]) -> nn.Module:
    """The layers one after the other, as the project's demo has them."""
    widths, rest = arguments["layers"], {k: v for k, v in arguments.items() if k != "layers"}
    return nn.Sequential(*(module.NaiveFourierKANLayer(i, o, **rest) for i, o in pairwise(widths)))


def pykan(module: Any, arguments: dict[str, Any]) -> nn.Module:
    """A MultKAN that writes nothing."""
    return module.MultKAN(**json.loads(json.dumps(arguments)), auto_save=False, seed=0)


ORIGINALS: dict[str, tuple[str, str, Maker, dict[str, dict[str, Any]]]] = {
    "fast-kan": (
        "https://github.com/ZiyaoLi/fast-kan",
        "fastkan/fastkan.py",
        lambda m, a: m.FastKAN(**a),
        {
            "fastkan-12-7-5": {"layers_hidden": [12, 7, 5]},
            "fastkan-9-6-4-3": {"layers_hidden": [9, 6, 4, 3], "grid_min": -1.0, "grid_max": 3.0, "num_grids": 5},
            "fastkan-8-4-no-base": {"layers_hidden": [8, 4], "num_grids": 3, "use_base_update": False},
        },
    ),
    "efficient-kan": (
        "https://github.com/Blealtan/efficient-kan",
        "src/efficient_kan/kan.py",
        lambda m, a: m.KAN(**a),
        {
            "efficient-12-7-5": {"layers_hidden": [12, 7, 5]},
            "efficient-6-4-3-degree-2": {
                "layers_hidden": [6, 4, 3],
                "grid_size": 8,
                "spline_order": 2,
                "grid_range": [-2.0, 1.0],
            },
            "efficient-5-4-3-updated": {"layers_hidden": [5, 4, 3], "grid_size": 4},
        },
    ),
    "cheby-kan": (
        "https://github.com/SynodicMonth/ChebyKAN",
        "ChebyKANLayer.py",
        cheby,
        {
            "cheby-12-7-5-3": {"layers": [12, 7, 5, 3], "degree": 4, "layernorm": True},
            "cheby-6-4-2": {"layers": [6, 4, 2], "degree": 6, "layernorm": False},
        },
    ),
    "torchkan": (
        "https://github.com/1ssb/torchkan",
        "KALnet.py",
        lambda m, a: m.KAL_Net(**a),
        {
            "kal-12-7-5": {"layers_hidden": [12, 7, 5]},
            "kal-9-6-4-3": {"layers_hidden": [9, 6, 4, 3], "polynomial_order": 5},
        },
    ),
    "torchkan-kanvolver": (
        "https://github.com/1ssb/torchkan",
        "KANvolver.py",
        lambda m, a: m.KANvolver(**a),
        {
            "kanvolver-10": {"layers_hidden": [10]},
            "kanvolver-12-5": {"layers_hidden": [12, 5], "polynomial_order": 3},
        },
    ),
    "rbf-kan": (
        "https://github.com/sidhu2690/RBF-KAN",
        "Fast_RBF_KAN.py",
        lambda m, a: m.RBFKAN(**a),
        {
            "rbf-7-5-3": {"layers_hidden": [7, 5, 3]},
            "rbf-4-3": {"layers_hidden": [4, 3], "num_grids": 5, "grid_min": -1.0, "use_base_update": False},
        },
    ),
    "wav-kan": (
        "https://github.com/zavareh1/Wav-KAN",
        "KAN.py",
        lambda m, a: m.KAN(**a),
        {
            f"wav-6-4-3-{kind}": {"layers_hidden": [6, 4, 3], "wavelet_type": kind}
            for kind in ("mexican_hat", "morlet", "dog")
        },
    ),
    "relu-kan": (
        "https://github.com/quiqi/relu_kan",
        "torch_relu_kan.py",
        lambda m, a: m.ReLUKAN(**a),
        {"relu-4-3-2": {"width": [4, 3, 2], "grid": 5, "k": 3}, "relu-3-2": {"width": [3, 2], "grid": 3, "k": 1}},
    ),
    "fourier-kan": (
        "https://github.com/GistNoesis/FourierKAN",
        "fftKAN.py",
        fourier,
        {
            "fourier-5-4-3": {"layers": [5, 4, 3], "gridsize": 5},
            "fourier-4-2-smooth": {"layers": [4, 2], "gridsize": 7, "addbias": False, "smooth_initialization": True},
        },
    ),
    "pykan": (
        "https://pypi.org/project/pykan",
        "kan",
        pykan,
        {
            "pykan-2-5-1": {"width": [2, 5, 1], "grid": 5, "k": 3},
            "pykan-4-3-2-updated": {
                "width": [4, 3, 2],
                "grid": 4,
                "k": 2,
                "base_fun": "identity",
                "affine_trainable": True,
            },
            "pykan-3-4-2-pruned": {
                "width": [3, 4, 2],
                "grid": 3,
                "base_fun": "zero",
                "grid_range": [-0.5, 2.0],
                "noise_scale": 5.0,
            },
            "pykan-4-3-1-inputs-cut": {"width": [4, 3, 1], "grid": 4, "k": 3, "base_fun": "silu"},
        },
    ),
}
KEPT_INPUTS = [0, 2]
"""What prune_input leaves where the name of a file says so; pykan then writes its base function as an object."""


def load(checkout: Path, file: str) -> Any:
    """The original's module, from its file."""
    path = checkout / file
    if path.is_dir():
        sys.path.insert(0, str(checkout.resolve()))
        return importlib.import_module(file)
    spec = importlib.util.spec_from_file_location("original", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def disturb(model: nn.Module, name: str, features: int) -> None:
    """Move every parameter that starts at 0 or 1, update grids on skewed data, and cut edges."""
    skewed = uniform((200, features), 7, -1.0, 1.0).sign() * uniform((200, features), 8, 0.0, 1.3) ** 2
    if name.endswith("updated"):
        model.update_grid_from_samples(skewed) if name.startswith("pykan") else model(skewed, update_grid=True)
    for number, (key, tensor) in enumerate(model.state_dict().items()):
        constant = tensor.is_floating_point() and bool((tensor == tensor.flatten()[0]).all())
        if constant and tensor.numel() > 1 and "mask" not in key and "symbolic" not in key and "grid" not in key:
            if "affine" in key or "node" not in key or "updated" in name:
                tensor += uniform(tuple(tensor.shape), number, -0.4, 0.4)
        elif "phase" in key:
            tensor += uniform(tuple(tensor.shape), number, -0.03, 0.03)
    if name.endswith("pruned"):
        model.act_fun[0].mask.data[1, 2] = model.act_fun[1].mask.data[0, 1] = 0.0
    for buffer in (m for m in model.modules() if isinstance(m, nn.BatchNorm1d)):
        buffer.running_mean += uniform(tuple(buffer.running_mean.shape), 31, -0.5, 0.5)
        buffer.running_var *= 2.5


def main() -> None:
    """Run one original and write its files."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("source", choices=ORIGINALS)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--commit", help="of a checkout without its git folder, or the release")
    options = parser.parse_args()
    head = ["git", "-C", str(options.checkout), "rev-parse", "HEAD"]
    commit = options.commit or subprocess.run(head, capture_output=True, text=True, check=True).stdout.strip()
    repository, file, maker, configurations = ORIGINALS[options.source]
    module = load(options.checkout, file)
    for number, (name, arguments) in enumerate(configurations.items()):
        torch.manual_seed(number)
        model = maker(module, arguments).eval()
        widths = next(arguments[k] for k in ("layers_hidden", "layers", "width") if k in arguments)
        with torch.no_grad():
            if options.source == "torchkan-kanvolver":
                x = uniform((6, 784), 100 + number, 0.0, 1.0) * torch.linspace(0.3, 1.5, 6)[:, None]
                shapes = {key: tuple(t.shape) for key, t in model.state_dict().items()}
                model.load_state_dict(make.formula_state(shapes))
            else:
                disturb(model, name, widths[0])
                x = uniform((12, widths[0]), 100 + number, -1.0, 1.0) * torch.linspace(0.5, 9.0, 12)[:, None]
            model = model.prune_input(active_inputs=KEPT_INPUTS) if name.endswith("inputs-cut") else model
            y = model(x.unsqueeze(-1) if options.source == "relu-kan" else x)
            x = x[:, KEPT_INPUTS] if name.endswith("inputs-cut") else x
        about = {"repository": repository, "commit": commit, "file": file, "arguments": json.dumps(arguments)}
        if options.source == "pykan":
            with tempfile.TemporaryDirectory() as folder:
                model.saveckpt(f"{folder}/model")
                about["config.yml"] = Path(f"{folder}/model_config.yml").read_text()
        state = {f"state.{n}": t for n, t in model.state_dict().items()}
        if options.source == "torchkan-kanvolver":
            state, about["shapes"] = {}, json.dumps(shapes)
        tensors = {k: t.detach().contiguous().clone() for k, t in {"x": x, "y": y.reshape(len(x), -1), **state}.items()}
        data = safetensors.torch.save(tensors, metadata={**about, "torch": torch.__version__})
        HERE.mkdir(exist_ok=True)
        (HERE / f"{name}.safetensors").write_bytes(data)
        print(f"{name}: {len(data)} bytes, y in {y.min():.3g}..{y.max():.3g}")


if __name__ == "__main__":
    main()
