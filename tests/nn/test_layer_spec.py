"""What a layer is, as a value: it is said, written, read, and made again."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable

import pytest
import torch
from torch import nn

import fasterkan as fk
from fasterkan.nn import EdgeLayer

LAYERS: dict[str, Callable[[], fk.KANLinear]] = {
    "default": lambda: fk.KANLinear(5, 3),
    "everything": lambda: fk.KANLinear(
        5, 3, fk.BSpline(grid_size=4), norm=fk.FeatureNorm("range", margin=0.1), base="gelu", base_input="z",
        bias=False, after="layernorm_silu",
    ),
    "module of a name": lambda: fk.KANLinear(5, 3, base=nn.SiLU(), norm=None),
    "batch range": lambda: fk.KANLinear(5, 3, fk.Legendre(2), norm="batch_range"),
    "edges": lambda: fk.KANLinear(5, 3, fk.Wavelet("dog"), norm=fk.RMSNorm(affine=False, gain=0.5)),
}  # fmt: skip


def changed(layer: fk.KANLinear) -> fk.KANLinear:
    """The layer with a mask, columns and names."""
    layer.take_inputs([0, 2, 3, 5, 6], 7)
    layer.set_mask(torch.tensor([[True, False, True, True, True]] * 3))
    layer.set_names([f"column {n}" for n in range(7)], ["a", "b", "c"])
    layer.xavier_gain = 0.5
    return layer


@pytest.mark.parametrize("change", [lambda layer: layer, changed], ids=["new", "changed"])
@pytest.mark.parametrize("name", LAYERS)
def test_written_and_read(name: str, change: Callable[[fk.KANLinear], fk.KANLinear]) -> None:
    spec = change(LAYERS[name]()).spec
    assert fk.LayerSpec.from_config(json.loads(json.dumps(spec.to_config()))) == spec
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.bias = True  # type: ignore[misc]


@pytest.mark.parametrize("change", [lambda layer: layer, changed], ids=["new", "changed"])
@pytest.mark.parametrize("name", LAYERS)
def test_made_again(name: str, change: Callable[[fk.KANLinear], fk.KANLinear]) -> None:
    layer = change(LAYERS[name]())
    again = fk.KANLinear.from_spec(layer.spec, dtype=torch.float64)
    assert again.spec == layer.spec
    assert {k: t.shape for k, t in again.state_dict().items()} == {k: t.shape for k, t in layer.state_dict().items()}
    assert {t.dtype for t in again.state_dict().values() if t.is_floating_point()} == {torch.float64}
    assert [n for n, _ in again.named_parameters()] == [n for n, _ in layer.named_parameters()]
    again.load_state_dict(layer.state_dict())
    x = torch.randn(9, layer.input_width)
    if layer.spec.norm == fk.FeatureNorm("range", margin=0.1):
        layer.calibrate(x)
        again.load_state_dict(layer.state_dict())
    torch.testing.assert_close(again.float()(x), layer(x))


def test_the_description_may_be_named_and_the_rest_must_be() -> None:
    spec = fk.LayerSpec(in_features=3, out_features=2, basis=fk.Hat(4))
    assert fk.KANLinear.from_spec(spec=spec).spec == spec
    with pytest.raises(TypeError, match="positional argument"):
        fk.KANLinear.from_spec(spec, "cpu")


def test_what_has_its_default_is_left_out() -> None:
    assert set(fk.KANLinear(5, 3).spec.to_config()) == {"in_features", "out_features", "basis", "norm", "base"}
    assert set(changed(fk.KANLinear(5, 3)).spec.to_config()) == {
        *("in_features", "out_features", "basis", "norm", "base", "mask", "kept_inputs", "input_width"),
        *("input_names", "output_names", "xavier_gain"),
    }


def test_a_missing_optional_key_has_its_default_and_an_unknown_one_is_named() -> None:
    config = {"in_features": 2, "out_features": 1, "basis": {"name": "Hat"}}
    spec = fk.LayerSpec.from_config(config)
    assert spec == fk.LayerSpec(in_features=2, out_features=1, basis=fk.Hat())
    assert (spec.norm, spec.base, spec.base_input, spec.bias, spec.mask) == (None, None, "x", True, False)
    with pytest.raises(ValueError, match=r"layer: unknown keys \['colour', 'speed'\]; known: in_features"):
        fk.LayerSpec.from_config({**config, "speed": 1, "colour": 2})
    with pytest.raises(ValueError, match=r"layer: the keys \['basis', 'in_features'\] are missing"):
        fk.LayerSpec.from_config({"out_features": 1})


def test_a_description_follows_its_layer() -> None:
    layer = fk.KANLinear(3, 2, fk.BSpline(grid_size=4), norm="feature", dtype=torch.float64)
    layer.calibrate(torch.randn(50, 3, dtype=torch.float64))
    layer.refine(8)
    assert layer.spec.basis == fk.BSpline(grid_size=8)
    layer.fold()
    assert (layer.spec.norm, layer.spec.basis) == (None, fk.BSpline(grid_size=8, per_feature=True))


def test_modules_are_copied_and_cannot_be_written() -> None:
    layer = fk.KANLinear(3, 2, norm=nn.LayerNorm(3), base=nn.PReLU())
    again = fk.KANLinear.from_spec(layer.spec)
    assert again.norm is not layer.norm and again.base is not layer.base
    with pytest.raises(ValueError, match=r"norm LayerNorm.* is a module"):
        layer.spec.to_config()
    with pytest.raises(ValueError, match=r"base PReLU.* has no name"):
        fk.KANLinear(3, 2, base=nn.PReLU()).spec.to_config()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"bias": 1}, "LayerSpec: bias must be True or False, got 1"),
        ({"mask": "some"}, "LayerSpec: mask must be True or False, got 'some'"),
        ({"kept_inputs": [1]}, r"LayerSpec: kept_inputs must be None or a tuple of int, got \[1\]"),
        ({"input_names": ("a", 1)}, "LayerSpec: input_names must be None or a tuple of str"),
    ],
    ids=lambda v: next(iter(v)) if isinstance(v, dict) else "",
)
def test_refused(fields: dict, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        fk.LayerSpec(in_features=2, out_features=1, basis=fk.Hat(), **fields)


def test_a_layer_is_an_edge_layer() -> None:
    assert isinstance(fk.KANLinear(2, 1, norm=None), EdgeLayer)
