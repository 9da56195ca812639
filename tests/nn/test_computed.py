"""Computed, shared and parametrised tensors: found, read correctly, or refused with the remedy."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

import fasterkan as fk
from fasterkan.nn.computed import computed_tensors, parameters_behind, plain_copy

X = torch.rand(80, 2, dtype=torch.float64)
Y = (3 * X[:, :1]).sin() * X[:, 1:]


class Halves(nn.Module):
    """w = v / 2."""

    def forward(self, v):
        return v / 2

    def right_inverse(self, w):
        return 2 * w


def network(**options):
    return fk.KAN([2, 3, 1], fk.BSpline(grid_size=4), base="silu", dtype=torch.float64, **{"norm": None, **options})


def weight_normed(**options):
    """A network and its copy, of which each weight is parametrised."""
    plain = network(**options)
    if options.get("norm") == "feature":
        plain.calibrate(X)
    net = copy.deepcopy(plain)
    for layer in net.layers:
        parametrizations.weight_norm(layer, "weight")
    return plain, net


def test_plain_layers_have_no_computed_tensors():
    for layer in (fk.KANLinear(3, 4, base="silu"), fk.KANConv2d(3, 4, 3), nn.Linear(2, 3)):
        assert computed_tensors(layer) == {}


def test_each_kind_is_named():
    layer = fk.KANLinear(3, 4, base="silu")
    parametrizations.weight_norm(layer, "weight")
    prune.random_unstructured(layer, "base_weight", 0.5)
    bias = layer.bias.detach()
    del layer.bias
    layer.bias = bias
    found = computed_tensors(layer)
    assert {name: one.kind for name, one in found.items()} == {
        "weight": "parametrisation",
        "base_weight": "hook",
        "bias": "attribute",
    }
    assert str(found["weight"].refusal("refine", "layers.0")) == (
        "refine: layers.0.weight is computed by the parametrisation _WeightNorm; call "
        "torch.nn.utils.parametrize.remove_parametrizations(layer, 'weight') first"
    )


def test_the_parameters_behind_a_tensor():
    layer = fk.KANLinear(3, 4, base="silu")
    assert parameters_behind(layer, "weight")[0] is layer.weight
    parametrizations.weight_norm(layer, "weight")
    prune.random_unstructured(layer, "base_weight", 0.5)
    assert [id(p) for p in parameters_behind(layer, "weight")] == [
        id(layer.parametrizations.weight.original0),
        id(layer.parametrizations.weight.original1),
    ]
    assert [id(p) for p in parameters_behind(layer, "base_weight")] == [id(layer.base_weight_orig)]


def test_a_plain_copy_computes_the_same():
    plain, net = weight_normed()
    made = plain_copy(net)
    assert not any(computed_tensors(module) for module in made.modules())
    torch.testing.assert_close(made(X), plain(X), rtol=1e-12, atol=1e-14)
    assert parametrize.is_parametrized(net.layers[0], "weight")


def test_a_deep_copy_is_parametrised_and_independent():
    plain, net = weight_normed()
    made = copy.deepcopy(net)
    with torch.no_grad():
        net.layers[0].parametrizations.weight.original0.mul_(2)
    torch.testing.assert_close(made(X), plain(X), rtol=1e-12, atol=1e-14)
    assert made.layers[0].spec == plain.layers[0].spec


def test_parametrised_networks_are_interpreted_like_plain_ones():
    plain, net = weight_normed(norm="feature")
    for mine, theirs in zip(fk.edges(net, X), fk.edges(plain, X), strict=True):
        torch.testing.assert_close(mine.values, theirs.values, rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(fk.importance(net, X).inputs, fk.importance(plain, X).inputs, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(fk.derivatives(net, X), fk.derivatives(plain, X), rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(fk.penalty(net, l1=1.0), fk.penalty(plain, l1=1.0), rtol=1e-6, atol=0)


def test_prune_reads_parametrised_weights_and_returns_plain_ones():
    plain, net = weight_normed(norm="feature")
    with torch.no_grad():
        target = plain(X)
    mine, theirs = (fk.prune(each, X, target, tolerance=0.3) for each in (net, plain))
    assert mine.after == theirs.after
    torch.testing.assert_close(mine.net(X), theirs.net(X), rtol=1e-9, atol=1e-10)
    assert not any(computed_tensors(module) for module in mine.net.modules())


def test_diagnose_sees_the_gradient_of_a_parametrised_weight():
    plain, net = weight_normed(norm="feature")
    mine, theirs = (str(fk.diagnose(each, (X, Y))) for each in (net, plain))
    assert mine.replace("Parametrized", "") == theirs


def test_optimiser_groups_know_what_is_behind_a_weight():
    layer = fk.KANLinear(3, 4, fk.RSWAF(32, train_grid=True))
    parametrizations.weight_norm(layer, "weight")
    parametrize.register_parametrization(layer, "grid", Halves())
    groups = {group["name"]: {id(p) for p in group["params"]} for group in fk.param_groups(layer, lr=1.0)}
    assert groups["weights-K32"] == {id(p) for p in layer.parametrizations.weight.parameters()}
    assert groups["basis"] == {id(layer.parametrizations.grid.original)}


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda net, folder: net.save_pretrained(folder), r"save_pretrained: layers\.0\.weight is computed by"),
        (lambda net, folder: fk.fit(net, X, Y), r"fit: layers\.0\.weight is computed by"),
    ],
    ids=["save_pretrained", "fit"],
)
def test_saving_and_fitting_name_the_parametrisation(call, error, tmp_path):
    net = weight_normed()[1]
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    with pytest.raises(RuntimeError, match=error + r" the parametrisation _WeightNorm; .*remove_parametrizations"):
        call(net, tmp_path / "net")
    assert not (tmp_path / "net").exists()
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


def test_a_model_is_saved_after_the_parametrisation_is_removed(tmp_path):
    net = weight_normed()[1]
    for layer in net.layers:
        parametrize.remove_parametrizations(layer, "weight")
    net.save_pretrained(tmp_path)
    torch.testing.assert_close(fk.from_pretrained(tmp_path)(X), net.eval()(X))


@pytest.mark.parametrize(
    "call",
    [
        lambda net: fk.edges(net),
        lambda net: fk.importance(net, X),
        lambda net: fk.prune(net, X, Y),
        lambda net: net.refine(8),
        lambda net: fk.fit(net, X, Y),
    ],
    ids=["edges", "importance", "prune", "refine", "fit"],
)
def test_weights_of_a_hook_may_be_old_and_are_refused(call):
    net = network()
    prune.l1_unstructured(net.layers[1], "weight", 0.3)
    with pytest.raises(RuntimeError, match=r"layers\.1\.weight is computed by the hook L1Unstructured before each"):
        call(net)


def test_a_parametrised_norm_is_refused_by_prune():
    net = fk.KAN([3, 4, 2])
    parametrize.register_parametrization(net.layers[1].norm, "weight", Halves())
    with pytest.raises(RuntimeError, match=r"prune \(norm\): weight is computed by the parametrisation Halves"):
        fk.prune(net, torch.rand(20, 3), torch.rand(20, 2))


def tied():
    net = fk.KAN([2, 2, 2], fk.BSpline(grid_size=4), norm="feature", dtype=torch.float64)
    net.layers[1].weight = net.layers[0].weight
    net.calibrate(X)
    return net


@pytest.mark.parametrize(
    ("call", "caller"),
    [
        (lambda net, folder: net.refine(8), "refine"),
        (lambda net, folder: net.update_grid(X), "update_grid"),
        (lambda net, folder: net.calibrate(2 * X), "calibrate"),
        (lambda net, folder: fk.fit(net, X, Y.expand(-1, 2)), "fit"),
        (lambda net, folder: net.save_pretrained(folder), "save_pretrained"),
    ],
    ids=["refine", "update_grid", "calibrate", "fit", "save_pretrained"],
)
def test_one_weight_of_two_layers_is_refused(call, caller, tmp_path):
    net = tied()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    with pytest.raises(RuntimeError, match=rf"{caller}: layers\.0\.weight and layers\.1\.weight are one tensor"):
        call(net, tmp_path)
    assert net.layers[0].weight is net.layers[1].weight
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


def test_shared_weights_do_not_stop_fold():
    net = tied()
    y = net(X)
    net.fold()
    torch.testing.assert_close(net(X), y, rtol=1e-11, atol=1e-12)
    assert net.layers[0].weight is net.layers[1].weight


def test_outputs_of_extreme_size_are_rescaled_in_a_plain_copy():
    plain, net = weight_normed(norm="feature")
    for each in (plain, net):
        with torch.no_grad():
            last = each.layers[-1]
            weight = last.parametrizations.weight.original0 if each is net else last.weight
            for tensor in (weight, last.base_weight, last.bias):
                tensor.mul_(1e120)
    torch.testing.assert_close(fk.importance(net, X).inputs, fk.importance(plain, X).inputs, rtol=1e-9, atol=1e-12)
