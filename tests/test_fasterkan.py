"""The original's import paths: its scripts run, each name is this package's, and what is missing says what to use."""

from __future__ import annotations

import copy
import doctest
import importlib
import inspect
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import safetensors
import torch
from torch import nn

import fasterkan as fk
import fasterkan.fasterkan
from fasterkan.fasterkan import FasterKAN, FasterKANLayer, FasterKANvolver

GOLDEN = Path(__file__).parent / "models" / "golden"
MISSING = {
    "fasterkan.fasterkan": ("EnhancedFeatureExtractor", "ReflectionalSwitchFunction", "RSWAFFunction", "SplineLinear"),
    "fasterkan.fasterkan_basis": ("ReflectionalSwitchFunction", "RSWAFFunction", "SplineLinear"),
    "fasterkan.fasterkan_layers": ("BasicResBlock", "SEBlock", "SplineLinear"),
    "fasterkan.feature_extractor": (
        "BasicResBlock",
        "DepthwiseSeparableConv",
        "EnhancedFeatureExtractor",
        "SEBlock",
        "SelfAttention",
    ),
}

SCRIPT = """
import torch
from torch import nn, optim
from fasterkan.fasterkan import FasterKAN, FasterKANvolver
from fasterkan.fasterkan_layers import FasterKANLayer

kan = FasterKAN([16, 8, 4], grid_min = -1.2, grid_max = 0.2, num_grids = 8, exponent = 2, inv_denominator = 0.5,
                train_grid = True, train_inv_denominator = True).to("cpu")
images = FasterKANvolver([8, 4], grid_min = -1.2, grid_max = 0.2, num_grids = 8, exponent = 2, inv_denominator = 0.5,
                         train_grid = True, train_inv_denominator = True, view = [-1, 1, 16, 16]).to("cpu")
layer = FasterKANLayer(16, 4, grid_min = -1.2, grid_max = 1.2, num_grids = 8)
for model, pixels in ((kan, 16), (images, 256), (layer, 16)):
    optimizer = optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-4)
    for _ in range(2):
        optimizer.zero_grad()
        loss = nn.CrossEntropyLoss()(model(torch.rand(5, pixels)), torch.arange(5) % 4)
        loss.backward()
        optimizer.step()
    torch.save(model.state_dict(), "weights.pth")
    model.load_state_dict(torch.load("weights.pth"))
    torch.save(model, "model.pth")
    again = torch.load("model.pth", weights_only=False).eval()
    assert torch.equal(again(torch.ones(1, pixels)), model.eval()(torch.ones(1, pixels)))
"""


def test_a_script_of_the_original_runs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(fk.__file__).parent.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_names_are_ours() -> None:
    assert (FasterKAN, FasterKANvolver) == (fk.FasterKAN, fk.FasterKANvolver)
    layers = importlib.import_module("fasterkan.fasterkan_layers")
    assert layers.FasterKANLayer is FasterKANLayer
    assert issubclass(FasterKANLayer, fk.KANLinear)


def test_the_module_hides_nothing() -> None:
    probe = (
        "import fasterkan as fk; before = dict(vars(fk)); import fasterkan.fasterkan, fasterkan.fasterkan_layers, "
        "fasterkan.fasterkan_basis, fasterkan.feature_extractor; print(sorted(set(vars(fk)) - set(before)), "
        "[n for n in before if vars(fk)[n] is not before[n]], fk.models.fasterkan.FasterKAN is fk.FasterKAN)"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(fk.__file__).parent.parent)}
    done = subprocess.run([sys.executable, "-c", probe], env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "['fasterkan', 'fasterkan_basis', 'fasterkan_layers', 'feature_extractor'] [] True\n"


@pytest.mark.parametrize(("module", "name"), [(m, n) for m, names in MISSING.items() for n in names])
def test_missing_names_say_what_to_use(module: str, name: str) -> None:
    with pytest.raises(ImportError) as caught:
        exec(f"from {module} import {name}")
    message = str(caught.value)
    assert message.startswith(f"fasterkan has no {name}, only the original FasterKAN has. In a script: fk.")
    assert "For a pickled model: fk.import_checkpoint(path) reads it" in message
    used = re.findall(r"fk\.(\w+)", message)
    assert all(hasattr(fk, word) for word in used)


@pytest.mark.parametrize("module", MISSING)
def test_names_that_neither_has(module: str) -> None:
    imported = importlib.import_module(module)
    assert not hasattr(imported, "FasterKANConv")
    with pytest.raises(AttributeError, match="'FasterKANConv'; it has FasterKAN, FasterKANLayer, FasterKANvolver"):
        _ = imported.FasterKANConv


def test_what_missing_names_advise() -> None:
    assert fk.KANLinear(3, 2, fk.RSWAF(), norm="layer").weight.shape == (2, 3, 8)
    assert isinstance(FasterKANvolver([2]).features, nn.Module)


# FasterKANLayer.


def test_a_layer_computes_what_the_originals_does() -> None:
    with safetensors.safe_open(GOLDEN / "fasterkan-9-4.safetensors", "pt") as opened:
        theirs = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    layer = FasterKANLayer(9, 4, grid_max=1.2, num_grids=16)
    assert torch.equal(layer.grid, theirs["state.layers.0.rbf.grid"])
    with torch.no_grad():
        layer.weight.copy_(theirs["state.layers.0.spline_linear.weight"].view(4, 9, 16))
        layer.norm.weight.copy_(theirs["state.layers.0.layernorm.weight"])
        layer.norm.bias.copy_(theirs["state.layers.0.layernorm.bias"])
    assert ((layer(theirs["x"]) - theirs["y"]).abs().max() / theirs["y"].abs().max()).item() < 1e-5


def test_a_layer_is_that_of_a_fasterkan() -> None:
    arguments = (-2.0, 1.0, 5, 3, 0.7, True, True, "silu", 0.5)
    layer = FasterKANLayer(9, 4, *arguments, dtype=torch.float64)
    net = FasterKAN([9, 4], *arguments, dtype=torch.float64)
    net.layers[0].load_state_dict(layer.state_dict())
    x = torch.randn(6, 9, dtype=torch.float64)
    assert torch.equal(layer(x), net(x))
    assert {n for n, p in layer.named_parameters() if p.requires_grad} == {
        n for n, _ in net.layers[0].named_parameters()
    }
    bound = 0.5 * (6 / (9 * 5 + 4)) ** 0.5  # Xavier
    assert 0.9 * bound < layer.weight.abs().max() <= bound


def test_a_layers_defaults_are_the_originals_and_what_it_computed() -> None:
    parameters = inspect.signature(FasterKANLayer).parameters
    defaults = {name: p.default for name, p in parameters.items() if p.default is not p.empty}
    assert list(parameters)[:11] == [
        *("input_dim", "output_dim", "grid_min", "grid_max", "num_grids", "exponent", "inv_denominator"),
        *("train_grid", "train_inv_denominator", "base_activation", "spline_weight_init_scale"),
    ]
    assert list(defaults.values())[:9] == [-1.2, 0.2, 8, 2, 1.0, False, False, None, 1.0]
    with pytest.raises(ValueError, match="FasterKANLayer: spline_weight_init_scale must be above 0, got -1"):
        FasterKANLayer(3, 2, spline_weight_init_scale=-1)


def test_weights_come_from_the_generator() -> None:
    first, second = (FasterKANLayer(5, 2, generator=torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first.weight, second.weight)


def test_the_examples_run() -> None:
    assert doctest.testmod(fasterkan.fasterkan).failed == 0


# Pickles.

OURS = {
    "FasterKAN": lambda: FasterKAN([4, 3, 2]),
    "FasterKANvolver": lambda: FasterKANvolver([3], image_size=16),
    "FasterKANLayer": lambda: FasterKANLayer(4, 3),
}


@pytest.mark.parametrize("name", OURS)
def test_our_own_are_pickled_and_copied(name: str, tmp_path: Path) -> None:
    model = OURS[name]().eval()
    torch.save(model, tmp_path / "model.pt")
    loaded = torch.load(tmp_path / "model.pt", weights_only=False)
    x = torch.rand(2, 256 if name == "FasterKANvolver" else 4)
    for twin in (
        loaded,
        *(pickle.loads(pickle.dumps(model, p)) for p in (2, 5)),
        copy.deepcopy(model),
        copy.copy(model),
    ):
        assert type(twin) is type(model)
        assert torch.equal(twin(x), model(x))


class Pickled:
    """An object whose pickle makes `cls` with attributes that are not its own."""

    def __init__(self, cls: type, state: dict[str, Any]) -> None:
        self.cls, self.state = cls, state

    def __reduce__(self) -> tuple[Any, ...]:
        return object.__new__, (self.cls,), self.state


@pytest.mark.parametrize("name", OURS)
def test_the_originals_attributes_never_get_into_ours(name: str, tmp_path: Path) -> None:
    theirs = nn.Module()
    theirs.layers = nn.ModuleList([nn.LayerNorm(4)])
    theirs.view = [-1, 1, 28, 28]
    content = Pickled(getattr(fasterkan.fasterkan, name), vars(theirs))
    torch.save(content, tmp_path / "model.pt")
    words = (
        f"{name}: the pickle holds a {name} of the original FasterKAN, not of this package. fk.import_checkpoint(path) "
        "reads it and runs nothing of it; if that refuses it, load it in an environment with the original FasterKAN "
        "instead of this package (both are called fasterkan), and save only its tensors: "
        'torch.save(model.state_dict(), "weights.pt")'
    )
    for load in (
        lambda: pickle.loads(pickle.dumps(content)),
        lambda: torch.load(tmp_path / "model.pt", weights_only=False),
    ):
        with pytest.raises(fk.CheckpointError) as caught:
            load()
        assert str(caught.value) == words
