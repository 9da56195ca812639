"""Columns that a layer takes, and its names."""

from __future__ import annotations

import pytest
import torch

import fasterkan as fk


def test_a_layer_takes_some_columns_only() -> None:
    layer = fk.KANLinear(3, 2, norm="rms", base="silu")
    x = torch.randn(4, 5, 6)
    expected = layer(x[..., [0, 2, 5]])
    layer.take_inputs([0, 2, 5], 6)
    assert torch.equal(layer(x), expected)
    assert layer.input_width == 6 and layer.kept_inputs.tolist() == [0, 2, 5]
    with pytest.raises(ValueError, match=r"KANLinear: x has 3 features, input_width is 6"):
        layer(x[..., :3])
    layer.take_inputs(torch.tensor([0, 1, 2]), 3)
    assert layer.kept_inputs is None and layer.input_width == 3
    assert torch.equal(layer(x[..., [0, 2, 5]]), expected)


@pytest.mark.parametrize("columns", [[0, 1], [0, 1, 1], [2, 1, 0], [0, 1, 6], [-1, 0, 1]], ids=str)
def test_columns_that_cannot_be(columns: list[int]) -> None:
    layer = fk.KANLinear(3, 2)
    with pytest.raises(ValueError, match=r"take_inputs: columns must be 3 increasing numbers within 0 ... 5"):
        layer.take_inputs(columns, 6)
    assert layer.kept_inputs is None and layer.input_width == 3


def test_kept_columns_go_with_the_layer_and_are_no_state() -> None:
    layer = fk.KANLinear(3, 2)
    layer.take_inputs([0, 2, 5], 6)
    assert "kept_inputs" not in layer.state_dict()
    assert fk.KANLinear.from_spec(layer.spec, device="meta").kept_inputs.tolist() == [0, 2, 5]


def test_names() -> None:
    layer = fk.KANLinear(2, 1, norm=None)
    layer.set_names(["width", "height"], ["price"])
    assert (layer.input_names, layer.output_names) == (("width", "height"), ("price",))
    with pytest.raises(ValueError, match=r"KANLinear.set_names: there are 2 inputs, got 1 names: \['a'\]"):
        layer.set_names(["a"])
    with pytest.raises(TypeError, match=r"KANLinear.set_names: outputs must be a list of strings, got 'p'"):
        layer.set_names(None, "p")
    assert layer.input_names == ("width", "height")
    layer.set_names()
    assert (layer.input_names, layer.output_names) == (None, None)


@pytest.mark.parametrize("widths", [[2, 1], [2, 3, 1]], ids=str)
def test_names_of_a_network_are_saved(widths: list[int], tmp_path) -> None:
    net = fk.KAN(widths, norm=None)
    net.set_names(["width", "height"], ["price"])
    again = fk.from_pretrained(net.save_pretrained(tmp_path))
    assert (again.input_names, again.output_names) == (("width", "height"), ("price",))
    with pytest.raises(ValueError, match="there are 1 outputs, got 2 names"):
        net.set_names(["a", "b"], ["c", "d"])
    assert net.input_names == ("width", "height")
