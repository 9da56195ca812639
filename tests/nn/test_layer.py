"""The one method that replaces basis, tensors and weight: all of it or nothing."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import fasterkan as fk


def learned() -> fk.KANLinear:
    return fk.KANLinear(3, 2, fk.RSWAF(4, train_grid=True, train_inv_denominator=True), norm=None)


def functions(basis: fk.Basis, layer: fk.KANLinear, *kernel: int) -> tuple:
    """New tensors and weights for a layer, float64."""
    tensors = basis.init(*layer.widths(), dtype=torch.float64)
    return basis, tensors, torch.randn(*layer.weight.shape[:2], basis.num_basis, *kernel, dtype=torch.float64)


def test_parameters_that_keep_their_shape_keep_their_identity() -> None:
    layer = learned()
    before = dict(layer.named_parameters())
    basis, tensors, weight = functions(layer.basis, layer)
    tensors["grid"] = tensors["grid"] + 0.25
    layer.set_functions(basis, tensors, weight)
    assert all(p is before[name] for name, p in layer.named_parameters())
    torch.testing.assert_close(layer.grid.detach(), tensors["grid"].float())
    torch.testing.assert_close(layer.weight.detach(), weight.float())


def test_another_shape_makes_new_parameters_and_keeps_what_is_frozen() -> None:
    layer = learned()
    layer.grid.requires_grad_(False)
    weight, grid = layer.weight, layer.grid
    layer.set_functions(*functions(fk.RSWAF(6, train_grid=True, train_inv_denominator=True), layer))
    assert layer.weight is not weight and layer.weight.shape == (2, 3, 6) and layer.weight.requires_grad
    assert layer.grid is not grid and layer.grid.shape == (6,) and not layer.grid.requires_grad
    assert layer.inv_denominator.requires_grad
    layer.weight.requires_grad_(False)
    layer.set_functions(*functions(fk.Hat(5), layer))
    assert not layer.weight.requires_grad and not hasattr(layer, "inv_denominator")
    assert dict(layer.named_buffers()).keys() >= {"grid"} and layer.basis == fk.Hat(5)


def test_the_layers_tensors_are_its_own() -> None:
    layer = fk.KANLinear(3, 2, fk.Hat(4), norm=None)
    basis, tensors, weight = functions(fk.Hat(6), layer)
    layer.set_functions(basis, tensors, weight)
    before = copy.deepcopy(layer.state_dict())
    weight.zero_()
    tensors["grid"].zero_()
    assert all(torch.equal(t, before[name]) for name, t in layer.state_dict().items())
    assert layer.weight.dtype == layer.grid.dtype == torch.float32


def test_a_convolution_takes_functions_too() -> None:
    layer = fk.KANConv2d(4, 2, 3, groups=2, basis=fk.Hat(4), norm=None)
    layer.set_functions(*functions(fk.Hat(6), layer, 3, 3))
    assert layer.weight.shape == (2, 2, 6, 3, 3) and layer.basis == fk.Hat(6)
    edges = layer.edge_weights()
    assert torch.equal(layer.with_edge_weights(edges), layer.weight)
    assert layer(torch.randn(1, 4, 5, 5)).shape == (1, 2, 3, 3)


@pytest.mark.parametrize(
    ("basis", "tensors", "weight", "words"),
    [
        (fk.Hat(5), {}, torch.zeros(2, 3, 5), r"the tensors are \{\}, Hat.* needs \{'grid': \(5,\)\}"),
        (fk.Hat(5), {"grid": torch.zeros(4)}, torch.zeros(2, 3, 5), r"'grid': \(4,\).*'grid': \(5,\)"),
        (fk.Hat(5), {"grid": torch.zeros(5)}, torch.zeros(2, 3, 4), r"weight is \(2, 3, 4\), Hat.* needs \(2, 3, 5\)"),
    ],
    ids=["no tensors", "tensor of another shape", "weight of another shape"],
)
def test_what_does_not_fit_changes_nothing(basis: fk.Basis, tensors: dict, weight: torch.Tensor, words: str) -> None:
    layer = learned()
    before, spec = copy.deepcopy(layer.state_dict()), layer.spec
    with pytest.raises(ValueError, match=words):
        layer.set_functions(basis, tensors, weight)
    assert layer.spec == spec
    assert all(torch.equal(t, before[name]) for name, t in layer.state_dict().items())


def test_a_tensor_cannot_have_the_name_of_something_else() -> None:
    layer = fk.KANLinear(3, 2, fk.Wavelet(), norm=None)
    layer.grid = nn.Identity()
    with pytest.raises(ValueError, match="Hat: a layer has an attribute 'grid' already; rename this tensor"):
        layer.set_functions(*functions(fk.Hat(4), layer))
    assert isinstance(layer.basis, fk.Wavelet) and layer.translation.shape == (2, 3)
