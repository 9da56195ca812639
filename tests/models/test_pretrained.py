"""Saved models come back bit for bit, or not at all: with a message that says what is wrong, and nothing changed."""

from __future__ import annotations

import copy
import dataclasses
import errno
import itertools
import json
import os
import pickle
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

import fasterkan as fk
from fasterkan import KAN, RSWAF, CheckpointError, FasterKAN, FeatureNorm, from_pretrained
from fasterkan._files import sha256_of
from fasterkan.bases import Basis, Params
from fasterkan.models import Pretrained

from ..seeds import seed_of

LEARNED = RSWAF(num_grids=4, train_grid=True, train_inv_denominator=True, exponent=3.0)


def calibrated(model: KAN) -> KAN:
    model.calibrate(torch.randn(50, 3, dtype=next(model.parameters()).dtype))
    return model


def frozen(model: KAN) -> KAN:
    calibrated(model).freeze()
    return model


MODELS: dict[str, Callable[[], Pretrained]] = {
    "kan": lambda: KAN([3, 5, 2]),
    "rms-silu": lambda: KAN([3, 5, 2], LEARNED, norm="rms", base="silu", bias=False),
    "layer-no-affine": lambda: KAN([3, 5, 2], norm=fk.LayerNorm(affine=False, gain=0.5, eps=1e-3)),
    "first-affine-off": lambda: KAN([3, 5, 2], first_affine=False),
    "no-norm": lambda: KAN([3, 5, 2], norm=None, base="relu"),
    "module-base": lambda: KAN([3, 5, 2], base=nn.SiLU()),
    "per-feature": lambda: KAN([3, 5, 2], RSWAF(grid=(-1.0, 0.25, 3.0), per_feature=True), norm=None),
    "feature-new": lambda: KAN([3, 5, 2], norm="feature"),
    "feature": lambda: calibrated(KAN([3, 5, 2], norm=FeatureNorm("range", margin=0.1, updates=7), base="gelu")),
    "feature-frozen": lambda: frozen(KAN([3, 5, 2], LEARNED, norm="feature")),
    "fasterkan": lambda: FasterKAN([3, 5, 2]),
    "fasterkan-all": lambda: FasterKAN([3, 5, 2], -2.0, 0.2, 5, 3, "auto", True, True, "tanh", 0.5, norm_gain="auto"),
    "float64": lambda: KAN([3, 5, 2], LEARNED, dtype=torch.float64),
    "bfloat16": lambda: KAN([3, 5, 2], LEARNED, dtype=torch.bfloat16),
    "float16-later": lambda: FasterKAN([3, 5, 2]).half(),
    "feature-bfloat16": lambda: frozen(KAN([3, 5, 2], norm="feature")).bfloat16(),
}


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def rewrite(folder: Path, change: Callable[[dict[str, Any]], object], *, sign: bool = True) -> None:
    """Change config.json, by default with a checksum that fits, as somebody with intent would."""
    config = json.loads((folder / "config.json").read_text())
    change(config)
    if sign and "config_sha256" in config:
        rest = {key: value for key, value in config.items() if key != "config_sha256"}
        config["config_sha256"] = sha256_of(json.dumps(rest, sort_keys=True).encode())
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def reweigh(folder: Path, data: bytes) -> None:
    """Replace the weights, with checksums that fit."""
    (folder / "model.safetensors").write_bytes(data)
    rewrite(folder, lambda config: config.update(weights_sha256=sha256_of(data)))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A folder with a whole model in it; the file beside them is nobody's business."""
    folder = frozen(KAN([3, 5, 2], LEARNED, norm="feature", base="silu")).save_pretrained(tmp_path / "model")
    (folder / "README.md").write_text("mine")
    return folder


def refused(folder: Path, reader: Callable[[Path], Any] = from_pretrained) -> str:
    """Return the message with which a folder is refused; nothing in it may change."""
    before = files(folder)
    with pytest.raises(CheckpointError) as caught:
        reader(folder)
    assert files(folder) == before
    assert isinstance(caught.value, ValueError)
    return str(caught.value)


# There and back.


@pytest.mark.parametrize("name", MODELS)
def test_bit_for_bit(name: str, tmp_path: Path) -> None:
    model = MODELS[name]()
    assert model.save_pretrained(tmp_path / "new" / "folder") == tmp_path / "new" / "folder"
    again = from_pretrained(str(tmp_path / "new" / "folder"))
    assert sorted(files(tmp_path)) == ["new/folder/config.json", "new/folder/model.safetensors"]
    assert type(again) is type(model)
    assert not again.training
    state, other = model.state_dict(), again.state_dict()
    assert list(other) == list(state)
    for key, tensor in state.items():
        assert other[key].dtype == tensor.dtype
        assert torch.equal(other[key], tensor), key
    assert [(n, p.requires_grad) for n, p in again.named_parameters()] == [
        (n, True) for n, _ in model.named_parameters()
    ]
    assert again.to_config() == model.to_config()
    x = torch.randn(7, 3, dtype=next(model.parameters()).dtype)
    if name != "feature-new":
        assert torch.equal(again(x), model.eval()(x))
    again.train()(x).sum().backward()
    assert all(p.grad is not None for p in again.parameters())


def test_saving_again_writes_the_same_bytes(saved: Path) -> None:
    before = files(saved)
    from_pretrained(saved).save_pretrained(saved)
    assert files(saved) == before


def test_saving_changes_no_model(tmp_path: Path) -> None:
    model = KAN([3, 5, 2])
    before, rng = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    model.save_pretrained(tmp_path)
    from_pretrained(tmp_path)
    assert model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), rng), "random numbers were drawn"


def test_plain_safetensors_and_json(saved: Path) -> None:
    model = from_pretrained(saved)
    tensors = safetensors.torch.load_file(saved / "model.safetensors")
    assert set(tensors) == set(model.state_dict())
    assert torch.equal(tensors["layers.0.grid"], model.layers[0].grid)
    config = json.loads((saved / "config.json").read_text())
    assert config.pop("config_sha256") == sha256_of(json.dumps(config, sort_keys=True).encode())
    assert config.pop("weights_sha256") == sha256_of((saved / "model.safetensors").read_bytes())
    assert config == {
        "format": 2,
        "fasterkan_version": fk.__version__,
        "model": "KAN",
        "arguments": {
            "layers": [
                {
                    "in_features": inputs,
                    "out_features": outputs,
                    "basis": {"name": "RSWAF", **dataclasses.asdict(LEARNED), "grid_range": [-1.2, 1.2]},
                    "norm": {"name": "FeatureNorm", "mode": "auto", "margin": 0.05, "updates": 100},
                    "base": "silu",
                    "base_input": "scaled",
                }
                for inputs, outputs in ((3, 5), (5, 2))
            ]
        },
        "dtype": "float32",
    }


def test_order_and_white_space_of_the_config_do_not_matter(saved: Path) -> None:
    config = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps(dict(reversed(config.items()))))
    assert isinstance(from_pretrained(saved), KAN)


def test_two_features_are_warned_of_once(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="LayerNorm of two features"):
        model = KAN([3, 2, 1])
    model.save_pretrained(tmp_path)
    assert torch.equal(from_pretrained(tmp_path)(torch.ones(3)), model(torch.ones(3)))


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu"), "meta"], ids=str)
def test_device(saved: Path, device: Any) -> None:
    model = KAN.from_pretrained(saved, device=device)
    assert {t.device for t in model.state_dict().values()} == {torch.device(device)}


def test_the_class_says_what_it_wants(saved: Path, tmp_path: Path) -> None:
    assert type(KAN.from_pretrained(saved)) is KAN
    assert refused(saved, FasterKAN.from_pretrained) == f"{saved} holds a KAN, not a FasterKAN"
    FasterKAN([3, 2]).save_pretrained(tmp_path / "fkan")
    assert type(KAN.from_pretrained(tmp_path / "fkan")) is FasterKAN
    assert type(Pretrained.from_pretrained(tmp_path / "fkan")) is FasterKAN


def test_in_another_process(saved: Path, tmp_path: Path) -> None:
    code = """
import sys, torch, fasterkan
model = fasterkan.from_pretrained(sys.argv[1])
print(model(torch.linspace(-1, 1, 3)).tolist())
"""
    done = subprocess.run([sys.executable, "-c", code, saved], capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout) == from_pretrained(saved)(torch.linspace(-1, 1, 3)).tolist()


def test_nothing_executable_is_read(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*args: Any, **options: Any) -> None:
        raise AssertionError("pickle was asked")

    for owner, name in ((torch, "load"), (torch, "save"), (pickle, "load"), (pickle, "loads"), (pickle, "Unpickler")):
        monkeypatch.setattr(owner, name, never)
    from_pretrained(saved).save_pretrained(saved)


class Tent(Basis):
    """phi_1(z) = max(0, width - |z|)."""

    num_basis = 1

    def init(self, in_features: int, out_features: int, device: Any = None, dtype: Any = None) -> dict[str, Tensor]:
        return {"width": torch.ones((), device=device, dtype=dtype)}

    def evaluate(self, z: Tensor, params: Params) -> Tensor:
        return (params["width"] - z.abs()).clamp_min(0).unsqueeze(-1)


def test_a_basis_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = KAN([3, 4, 2], Tent()), torch.randn(5, 3)
    model.save_pretrained(tmp_path)
    assert torch.equal(from_pretrained(tmp_path)(x), model(x))
    monkeypatch.delitem(Basis.registry, "Tent")
    message = refused(tmp_path)
    assert "config.json does not describe a KAN: basis 'Tent' is not known" in message
    assert "A basis of your own must be imported before it is loaded" in message


class Narrow(KAN):
    """A model with a constructor of its own, and nothing said about how to repeat it."""

    def __init__(self, width: int) -> None:
        super().__init__([3, width, 2])


class Squeezed(Narrow):
    def to_config(self) -> dict[str, Any]:
        return {"width": self.layers_hidden[1]}

    @classmethod
    def from_config(cls, config: Any, **factory: Any) -> Squeezed:
        return cls(**config).to(**factory)


def test_a_model_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Squeezed(4)
    model.save_pretrained(tmp_path)
    assert torch.equal(Squeezed.from_pretrained(tmp_path)(torch.ones(3)), model(torch.ones(3)))
    monkeypatch.delitem(Pretrained.registry, "Squeezed")
    message = refused(tmp_path)
    assert "model 'Squeezed' is not known" in message
    assert "A model class of your own must be imported before it is loaded" in message


# What cannot be saved.


def with_value(value: float) -> KAN:
    model = KAN([3, 5, 2])
    with torch.no_grad():
        model.layers[1].weight[0, 1, 2] = value
    return model


def with_layer(layer: nn.Module) -> KAN:
    model = KAN([3, 5, 2])
    model.layers[1] = layer
    return model


UNSAVABLE: dict[str, tuple[Callable[[], Pretrained], str]] = {
    "nan": (
        lambda: with_value(float("nan")),
        "save_pretrained: layers.1.weight hold NaN or infinity; nothing was written",
    ),
    "infinity": (lambda: with_value(float("inf")), "layers.1.weight hold NaN or infinity; nothing was written"),
    "lambda": (lambda: KAN([3, 5, 2], base=lambda x: x), "has no name: only None and silu, gelu, relu"),
    "fasterkan-lambda": (lambda: FasterKAN([3, 5, 2], base_activation=lambda x: x), "has no name: only None and silu"),
    "module": (lambda: KAN([3, 5, 2], base=nn.Softplus()), "has no name: only None and silu, gelu, relu"),
    "module-norm": (
        lambda: KAN([3, 2], norm=nn.Tanh()),
        "norm Tanh() is a module: only None and the norms of fasterkan",
    ),
    "other-dtype": (
        lambda: with_layer(fk.KANLinear(5, 2, dtype=torch.float64)),
        "is not what its to_config() describes",
    ),
    "another-layer": (lambda: with_layer(nn.Linear(5, 2)), "unexpected ['layers.1.bias', 'layers.1.weight']"),
    "own-constructor": (lambda: Narrow(4), "this Narrow cannot be made again from its to_config(): "),
}


@pytest.mark.parametrize("name", UNSAVABLE)
def test_what_could_not_be_read_again_is_not_written(name: str, saved: Path, tmp_path: Path) -> None:
    make, message = UNSAVABLE[name]
    model, before = make(), files(tmp_path)
    for folder in (saved, tmp_path / "new"):
        with pytest.raises(ValueError) as caught:
            model.save_pretrained(folder)
        assert message in str(caught.value)
    assert files(tmp_path) == before
    assert not (tmp_path / "new").exists()


def test_a_network_is_what_its_layers_are(tmp_path: Path) -> None:
    model = with_layer(fk.KANLinear(5, 4, fk.Hat(), norm="rms", base="tanh"))
    assert (model.layers_hidden, model.norm) == ((3, 5, 4), [fk.LayerNorm(), fk.RMSNorm()])
    again = from_pretrained(model.save_pretrained(tmp_path))
    x = torch.randn(4, 3)
    assert torch.equal(again(x), model.eval()(x))
    assert [layer.spec for layer in again.kan_layers()] == [layer.spec for layer in model.kan_layers()]


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OSError, match="file"):
            KAN([3, 2]).save_pretrained(folder)
    assert files(tmp_path) == {"file": b"mine"}


@pytest.mark.parametrize("step", ["fsync-1", "fsync-2", "fsync-3", "replace-1", "replace-2"])
def test_a_disk_that_fails_leaves_the_former_model(saved: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    before, model = files(saved), from_pretrained(saved)
    name, _, nth = step.partition("-")
    real, calls = getattr(os, name), []

    def failing(*args: Any) -> None:
        calls.append(args)
        if len(calls) == int(nth):
            raise OSError(errno.ENOSPC, "No space left on device")
        real(*args)

    with torch.no_grad():
        model.layers[0].weight.add_(1)
    with monkeypatch.context() as patch:
        patch.setattr(os, name, failing)
        if name == "replace":
            patch.setattr(Path, "replace", failing)
        with pytest.raises(OSError, match="No space left"):
            model.save_pretrained(saved)
    assert files(saved) == before


# What is refused when it is read. Each case changes a good folder and says what must be in the message.


def drop(key: str) -> Callable[[Path], object]:
    return lambda folder: rewrite(folder, lambda config: config.pop(key))


def put(**items: Any) -> Callable[[Path], object]:
    return lambda folder: rewrite(folder, lambda config: config.update(items))


def argue(**items: Any) -> Callable[[Path], object]:
    return lambda folder: rewrite(folder, lambda config: config["arguments"].update(items))


def forget(key: str) -> Callable[[Path], object]:
    return lambda folder: rewrite(folder, lambda config: config["arguments"].pop(key))


def text(content: str | bytes) -> Callable[[Path], object]:
    data = content if isinstance(content, bytes) else content.encode()
    return lambda folder: (folder / "config.json").write_bytes(data)


def tensors(change: Callable[[dict[str, Tensor]], object]) -> Callable[[Path], object]:
    def hostile(folder: Path) -> None:
        state = safetensors.torch.load_file(folder / "model.safetensors")
        change(state)
        reweigh(folder, safetensors.torch.save(state))

    return hostile


def other_weights(folder: Path) -> None:
    KAN([3, 5, 2]).save_pretrained(folder / "other")
    reweigh(folder, (folder / "other" / "model.safetensors").read_bytes())


def another_save(folder: Path) -> None:
    frozen(KAN([3, 5, 2], LEARNED, norm="feature", base="silu")).save_pretrained(folder / "other")
    (folder / "other" / "model.safetensors").replace(folder / "model.safetensors")


def set_nan(state: dict[str, Tensor]) -> None:
    state["layers.1.weight"][0, 0, 0] = float("nan")


def basis(**items: Any) -> Callable[[Path], object]:
    return lambda folder: rewrite(folder, lambda config: config["arguments"]["layers"][0]["basis"].update(items))


def layer(number: int = 0, **items: Any) -> Callable[[Path], object]:
    return lambda folder: rewrite(folder, lambda config: config["arguments"]["layers"][number].update(items))


def widths(*numbers: Any) -> Callable[[Path], object]:
    """As many layers as the numbers say, each the first one with other widths."""

    def change(config: dict[str, Any]) -> None:
        first = config["arguments"]["layers"][0]
        pairs = itertools.pairwise(numbers)
        config["arguments"]["layers"] = [{**first, "in_features": i, "out_features": o} for i, o in pairs]

    return lambda folder: rewrite(folder, change)


HOSTILE: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "no-config": (lambda f: (f / "config.json").unlink(), ["config.json is missing", "README.md, model.safetensors"]),
    "no-weights": (lambda f: (f / "model.safetensors").unlink(), ["model.safetensors is missing", "config.json"]),
    "config-is-a-folder": (
        lambda f: ((f / "config.json").unlink(), (f / "config.json").mkdir()),
        ["config.json is missing"],
    ),
    "config-empty": (text(""), ["config.json is not JSON"]),
    "config-no-json": (text("{format: 1}"), ["config.json is not JSON", "restore it or save the model again"]),
    "config-no-utf8": (text(b'{"format": "\xff"}'), ["config.json is not JSON"]),
    "config-deep": (text("[" * 100_000), ["config.json is not JSON"]),
    "config-list": (text("[1, 2]"), ["config.json holds a list, an object was expected"]),
    "config-null": (text("null"), ["config.json holds a NoneType, an object was expected"]),
    "config-of-others": (text('{"model_type": "bert"}'), ["format is None, this version (fasterkan ", "reads 1 and 2"]),
    "format": (put(format=3), ["format is 3, this version (fasterkan ", "reads 1 and 2"]),
    "unknown-key": (put(speed=1, colour="red"), ["has unknown keys colour, speed; expected arguments, config_sha256"]),
    **{
        f"no-{key}": (drop(key), [f"lacks {key}"])
        for key in ("model", "arguments", "dtype", "weights_sha256", "config_sha256")
    },
    "unsigned": (
        lambda f: rewrite(f, lambda config: config["arguments"]["layers"][0].update(bias=False), sign=False),
        ["config.json was changed: its sha256 is ", "restore it or save the model again"],
    ),
    "model": (
        put(model="FasterKan"),
        ["model 'FasterKan' is not known; did you mean 'FasterKAN'?", "known: FasterKAN,"],
    ),
    "model-list": (put(model=["KAN"]), ["model \"['KAN']\" is not known"]),
    "model-null": (put(model=None), ["model 'None' is not known"]),
    "another-class": (
        put(model="FasterKAN"),
        ["config.json does not describe a FasterKAN: ", "its layers have the basis RSWAF, LayerNorm and no bias"],
    ),
    "dtype": (put(dtype="foo"), ["dtype is 'foo', expected one of float64, float32, bfloat16, float16"]),
    "dtype-int": (put(dtype="int8"), ["dtype is 'int8', expected one of"]),
    "dtype-no-dtype": (put(dtype="load"), ["dtype is 'load', expected one of"]),
    "dtype-list": (put(dtype=[]), ["dtype is [], expected one of"]),
    "dtype-other": (put(dtype="float64"), ["torch.float32", "expected torch.float64"]),
    "arguments-list": (put(arguments=[1]), ["does not describe a KAN: "]),
    "arguments-null": (put(arguments=None), ["does not describe a KAN: "]),
    "argument-unknown": (argue(speed=2), ["does not describe a KAN: KAN: unknown arguments ['speed']"]),
    "argument-device": (argue(device="cuda"), ["does not describe a KAN: KAN: unknown arguments ['device']"]),
    "argument-missing": (forget("layers"), ["does not describe a KAN: 'layers' is missing"]),
    "layers-text": (argue(layers="3,5,2"), ["does not describe a KAN: ", "layers must be a list of descriptions"]),
    "layers-none": (argue(layers=[]), ["does not describe a KAN: ", "at least one layer"]),
    "layer-list": (argue(layers=[[3, 5]]), ["does not describe a KAN: ", "layers must be a list of descriptions"]),
    "layer-unknown-key": (layer(speed=2), ["does not describe a KAN: ", "layer: unknown keys ['speed']; known: in_fe"]),
    "layer-missing-key": (
        lambda f: rewrite(f, lambda config: config["arguments"]["layers"][1].pop("basis")),
        ["does not describe a KAN: ", "layer: the keys ['basis'] are missing"],
    ),
    "layer-mask-no-boolean": (layer(mask="all"), ["mask must be True or False, got 'all'"]),
    "layer-names-no-strings": (layer(input_names=[1, 2, 3]), ["input_names must be None or a tuple of str"]),
    "layer-kept-beyond": (
        layer(kept_inputs=[0, 1, 9], input_width=5),
        ["take_inputs: columns must be 3 increasing numbers within 0 ... 4, got [0, 1, 9]"],
    ),
    "layers-do-not-meet": (layer(1, in_features=4), ["layer 0 has 5 outputs, layer 1 takes 4"]),
    "widths-text": (widths("3", 5), ["must be a whole number, got '3' (str)"]),
    "widths-none": (widths(0, 5), ["must be at least 1, got 0"]),
    "widths-huge": (widths(2**60, 2**60), ["does not describe a KAN: "]),
    "widths-huger": (widths(10**40, 2), ["does not describe a KAN: "]),
    "widths-other": (widths(3, 6, 2), ["model.safetensors does not hold the model that config.json describes"]),
    "depth-other": (widths(3, 5, 5, 2), ["missing ['layers.2.base_norm.center'"]),
    "base-unknown": (layer(base="sinus"), ["base must be None, a callable or one of silu", "got 'sinus'"]),
    "base-input-unknown": (layer(base_input="y"), ['base_input must be "x", "scaled" or "z", got \'y\'']),
    "basis-unknown": (basis(name="RSWAG"), ["basis 'RSWAG' is not known; did you mean 'RSWAF'?", "must be imported"]),
    "basis-field": (basis(colour=1), ["RSWAF: unknown fields ['colour']"]),
    "basis-value": (basis(num_grids=1), ["RSWAF: num_grids must be at least 2, got 1"]),
    "basis-text": (layer(basis="RSWAF"), ["does not describe a KAN: "]),
    "norm-unknown": (layer(norm={"name": "BatchNorm"}), ["norm 'BatchNorm' is not known; known: LayerNorm, RMSNorm"]),
    "norm-field": (layer(norm={"name": "FeatureNorm", "colour": 1}), ["FeatureNorm: unknown fields ['colour']"]),
    "norm-other": (
        layer(norm=None),
        ["unexpected ['layers.0.norm.center', 'layers.0.norm.scale', 'layers.0.norm.status'"],
    ),
    "weights-empty": (
        lambda f: (f / "model.safetensors").write_bytes(b""),
        ["(0 bytes, ", "is incomplete, was changed"],
    ),
    "weights-empty-signed": (lambda f: reweigh(f, b""), ["model.safetensors is not a safetensors file (0 bytes): "]),
    "weights-pickle": (lambda f: reweigh(f, pickle.dumps({"a": 1})), ["model.safetensors is not a safetensors file"]),
    "weights-header": (lambda f: reweigh(f, b"\xff" * 8 + b"{}"), ["model.safetensors is not a safetensors file"]),
    "weights-other-model": (
        other_weights,
        ["does not hold the model that config.json describes: missing ", "'layers.0.base_weight'"],
    ),
    "weights-another-save": (
        another_save,
        ["comes from another save than config.json", "restore both files from one save"],
    ),
    "tensor-extra": (tensors(lambda t: t.update(extra=torch.ones(1))), ["missing [], unexpected ['extra']"]),
    "tensor-missing": (tensors(lambda t: t.pop("layers.1.bias")), ["missing ['layers.1.bias'], unexpected []"]),
    "tensor-shape": (
        tensors(lambda t: t.update({"layers.0.weight": torch.ones(5, 12)})),
        ["layers.0.weight is torch.float32 (5, 12), expected torch.float32 (5, 3, 4)"],
    ),
    "tensor-dtype": (
        tensors(lambda t: t.update({"layers.0.bias": torch.ones(5, dtype=torch.float64)})),
        ["layers.0.bias is torch.float64 (5,), expected torch.float32 (5,)"],
    ),
    "tensor-nan": (tensors(set_nan), ["layers.1.weight hold NaN or infinity; use an earlier checkpoint"]),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile(case: str, saved: Path) -> None:
    spoil, words = HOSTILE[case]
    spoil(saved)
    message = refused(saved)
    assert str(saved) in message
    for word in words:
        assert word in message


@pytest.mark.parametrize("folder", ["no-such-folder", "README.md"])
def test_no_folder(saved: Path, folder: str) -> None:
    message = refused(saved, lambda path: from_pretrained(path / folder))
    assert f"{folder}/config.json is missing (no such folder); give a folder that save_pretrained wrote" in message


def test_weights_cut_at_any_length(saved: Path) -> None:
    path = saved / "model.safetensors"
    data = path.read_bytes()
    lengths = {*range(24), *range(24, len(data), 97), len(data) - 1}
    for length in lengths:
        path.write_bytes(data[:length])
        assert f"model.safetensors ({length} bytes, sha256 " in refused(saved)
    path.write_bytes(data + b"\0")
    assert "is incomplete, was changed" in refused(saved)
    path.write_bytes(data)
    from_pretrained(saved)


def test_config_cut_at_any_length(saved: Path) -> None:
    path = saved / "config.json"
    data = path.read_bytes()
    for length in range(0, len(data) - 1, 7):
        path.write_bytes(data[:length])
        assert "config.json is not JSON" in refused(saved)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_one_flipped_bit_anywhere(saved: Path, name: str) -> None:
    path, draw = saved / name, random.Random(seed_of(0))
    data = path.read_bytes()
    places = list(range(min(len(data), 16))) + [draw.randrange(len(data)) for _ in range(100)]
    for place in places:
        flipped = bytearray(data)
        flipped[place] ^= 1 << draw.randrange(8)
        path.write_bytes(flipped)
        assert name in refused(saved), f"byte {place}"
    path.write_bytes(data)
    from_pretrained(saved)
