"""New values for computed tensors: what is written through a parametrisation, and what is refused before any change."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

import fasterkan as fk
from fasterkan.nn.writing import planned, write

from ..seeds import seed_of

MASK = torch.tensor([[True, False, True]] * 4)


class Exp(nn.Module):
    """w = exp(v)."""

    def forward(self, v):
        return torch.exp(v)

    def right_inverse(self, w):
        return torch.log(w)


class Halves(nn.Module):
    """w = v / 2."""

    def forward(self, v):
        return v / 2

    def right_inverse(self, w):
        return 2 * w


class NoInverse(nn.Module):
    """w = tanh(v), which cannot be assigned."""

    def forward(self, v):
        return torch.tanh(v)


def layer_of(norm=None, basis=None, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed_of(seed))
    basis = fk.BSpline(grid_size=5) if basis is None else basis
    return fk.KANLinear(3, 4, basis, norm=norm, base="silu", dtype=dtype, generator=generator)


def rows(count=60, width=3):
    return torch.rand(count, width, dtype=torch.float64) * 2 - 1


def weight_normed(layer, *names):
    for name in names or ("weight",):
        parametrizations.weight_norm(layer, name)
    return layer


def reset(layer, x):
    layer.reset_parameters(torch.Generator().manual_seed(seed_of(5)))


def set_functions(layer, x):
    layer.set_functions(layer.basis, layer.basis_tensors(), torch.rand_like(layer.weight.detach()))


OPERATIONS = {
    "refine": lambda layer, x: layer.refine(10),
    "update_grid": lambda layer, x: layer.update_grid(x),
    "fit_to": lambda layer, x: layer.fit_to(layer_of(seed=1)),
    "set_mask": lambda layer, x: layer.set_mask(MASK),
    "reset_parameters": reset,
    "set_functions": set_functions,
}
"""Operations on a layer (layer, x) that write its weight."""


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
@pytest.mark.parametrize("names", [("weight",), ("weight", "base_weight")], ids=["weight", "both weights"])
def test_weight_norm_gets_what_a_plain_layer_gets(operation, names):
    plain, x = layer_of(), rows()
    layer = weight_normed(copy.deepcopy(plain), *names)
    for each in (plain, layer):
        torch.manual_seed(seed_of(3))
        operation(each, x)
    for name in ("weight", "base_weight", "bias"):
        torch.testing.assert_close(getattr(layer, name), getattr(plain, name), rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(layer(x), plain(x), rtol=1e-11, atol=1e-12)
    layer(x).sum().backward()
    assert all(p.grad is not None for p in layer.parametrizations.weight.parameters())


@pytest.mark.parametrize("operation", ["update_grid", "fit_to", "set_mask", "reset_parameters", "set_functions"])
def test_the_parameters_behind_a_weight_stay_those_of_the_optimiser(operation):
    layer, x = weight_normed(layer_of()), rows()
    before = list(layer.parametrizations.weight.parameters())
    OPERATIONS[operation](layer, x)
    assert all(a is b for a, b in zip(layer.parametrizations.weight.parameters(), before, strict=True))


def test_a_parametrised_weight_shares_no_memory_with_what_was_written():
    layer = weight_normed(layer_of())
    value = torch.rand_like(layer.weight.detach())
    write(layer, {"weight": value})
    expected = value.clone()
    value.zero_()
    torch.testing.assert_close(layer.weight.detach(), expected)


def test_a_second_calibration_writes_through_weight_norm():
    plain, x = layer_of("feature"), rows()
    plain.calibrate(x)
    layer = weight_normed(copy.deepcopy(plain))
    for each in (plain, layer):
        each.calibrate(x * 1.5)
    torch.testing.assert_close(layer.weight, plain.weight, rtol=1e-12, atol=1e-14)
    assert torch.equal(layer.norm.center, plain.norm.center)


@pytest.mark.parametrize("kind", [parametrizations.spectral_norm, parametrizations.orthogonal])
def test_fold_keeps_a_weight_that_takes_no_other_values(kind):
    layer, x = layer_of("feature"), rows()
    layer.calibrate(x)  # a first calibration writes no weight
    kind(layer, "weight")
    layer.eval()
    y = layer(x)
    layer.fold()
    assert layer.norm is None
    torch.testing.assert_close(layer(x), y, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(
    ("basis", "name", "kind"),
    [
        (fk.RSWAF(5, train_inv_denominator=True), "inv_denominator", Exp),
        (fk.RSWAF(5, train_grid=True), "grid", Halves),
        (fk.RSWAF(5), "grid", Halves),
        (fk.Wavelet("dog"), "scale", Exp),
    ],
    ids=["width", "grid", "grid as a buffer", "scale"],
)
def test_tensors_of_a_basis_are_written_through(basis, name, kind):
    plain, x = layer_of("feature", basis), rows()
    plain.calibrate(x * torch.tensor([1.0, 20.0, 0.3], dtype=torch.float64))
    layer = copy.deepcopy(plain)
    parametrize.register_parametrization(layer, name, kind())
    plain.fold()
    layer.fold()
    torch.testing.assert_close(getattr(layer, name), getattr(plain, name), rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(layer(x), plain(x), rtol=1e-10, atol=1e-12)


def test_reset_draws_a_parametrised_basis_anew():
    layer = layer_of(basis=fk.RSWAF(5, train_inv_denominator=True))
    parametrize.register_parametrization(layer, "inv_denominator", Exp())
    start = layer.inv_denominator.detach().clone()
    write(layer, {"inv_denominator": 3 * start})
    torch.testing.assert_close(layer.inv_denominator.detach(), 3 * start)
    layer.reset_parameters()
    torch.testing.assert_close(layer.inv_denominator.detach(), start)


def test_a_row_norm_is_reset_through_its_parametrisation():
    layer = fk.KANLinear(4, 2, norm=fk.LayerNorm(gain=0.5))
    parametrize.register_parametrization(layer.norm, "weight", Halves())
    write(layer.norm, {"weight": torch.full((4,), 3.0)})
    layer.norm.reset_parameters()
    assert layer.norm.weight.tolist() == [0.5] * 4


def spectral(layer):
    parametrizations.spectral_norm(layer, "weight")


def orthogonal(layer):
    parametrizations.orthogonal(layer, "weight")


def without_inverse(layer):
    parametrize.register_parametrization(layer, "weight", NoInverse())


def positive(layer):
    with torch.no_grad():
        layer.weight.abs_()
    parametrize.register_parametrization(layer, "weight", Exp())


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
def old_weight_norm(layer):
    with pytest.warns(FutureWarning):
        nn.utils.weight_norm(layer, "weight")


def old_spectral_norm(layer):
    nn.utils.spectral_norm(layer, "weight")


def pruned(layer):
    prune.l1_unstructured(layer, "weight", 0.3)


def attribute(layer):
    weight = layer.weight.detach() * 1
    del layer.weight
    layer.weight = weight


REFUSED = {
    "spectral_norm": (spectral, r"parametrisation _SpectralNorm, .*remove_parametrizations\(layer, 'weight'\) first"),
    "orthogonal": (orthogonal, r"parametrisation _Orthogonal, .*remove_parametrizations\(layer, 'weight'\) first"),
    "no inverse": (without_inverse, "parametrisation NoInverse, .* does not implement right_inverse"),
    "old weight_norm": (old_weight_norm, r"hook WeightNorm .* torch.nn.utils.remove_weight_norm\(layer, 'weight'\)"),
    "old spectral_norm": (old_spectral_norm, r"hook SpectralNorm .* torch.nn.utils.remove_spectral_norm\(layer"),
    "prune": (pruned, r"hook L1Unstructured .* torch.nn.utils.prune.remove\(layer, 'weight'\) first"),
    "attribute": (attribute, "weight is neither a parameter nor a buffer.* torch.nn.Parameter"),
}


def everything(layer):
    """All tensors of a layer, copied."""
    plain = {k: v.detach().clone() for k, v in vars(layer).items() if isinstance(v, torch.Tensor)}
    return {**plain, **{k: v.clone() for k, v in layer.state_dict().items()}}


def assert_unchanged(layer, before):
    after = everything(layer)
    assert list(after) == list(before)
    assert all(torch.equal(after[name], value) for name, value in before.items())


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("kind", REFUSED)
def test_weights_that_take_no_other_values_are_refused_before_any_change(kind, operation):
    make, words = REFUSED[kind]
    layer, x = layer_of(), rows()
    make(layer)
    layer.eval()
    before = everything(layer)
    with pytest.raises(RuntimeError, match=words):
        OPERATIONS[operation](layer, x)
    assert_unchanged(layer, before)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_positive_weights_take_positive_values_only(operation):
    layer, x = layer_of(), rows()
    positive(layer)
    before, y = everything(layer), layer(x)
    if operation in ("set_mask", "set_functions", "refine"):  # these write numbers that are not negative
        OPERATIONS[operation](layer, x)
        assert (layer.weight >= 0).all()
        if operation == "refine":
            torch.testing.assert_close(layer(x), y, rtol=1e-8, atol=1e-8)
        return
    with pytest.raises(RuntimeError, match="parametrisation Exp, which does not keep other values"):
        OPERATIONS[operation](layer, x)
    assert_unchanged(layer, before)


@pytest.mark.parametrize(
    ("operation", "norm"),
    [
        (lambda net, x: net.refine(10), None),
        (lambda net, x: net.update_grid(x), None),
        (lambda net, x: net.calibrate(x * 2), "feature"),
        (lambda net, x: (net.train()(x), fk.update_norms(net)), "feature"),
    ],
    ids=["refine", "update_grid", "calibrate", "update_norms"],
)
def test_one_refused_layer_keeps_the_others_as_they_are(operation, norm):
    net, x = fk.KAN([3, 4, 2], fk.BSpline(grid_size=5), norm=norm, dtype=torch.float64), rows()
    if norm is not None:
        net.calibrate(x)
    net.layers[1].requires_grad_(False)  # so that the power iteration is the only thing that could move
    parametrizations.orthogonal(net.layers[1], "weight")
    before = everything(net)
    with pytest.raises(RuntimeError, match=r"weight is computed by the parametrisation _Orthogonal"):
        operation(net, x)
    assert_unchanged(net, before)


def test_a_refused_base_weight_keeps_the_weight():
    layer = layer_of()
    parametrizations.orthogonal(layer, "base_weight")
    before = everything(layer)
    for operation in ("fit_to", "set_mask", "reset_parameters"):
        with pytest.raises(RuntimeError, match="base_weight is computed by the parametrisation _Orthogonal"):
            OPERATIONS[operation](layer, rows())
        assert_unchanged(layer, before)


def test_a_basis_without_the_parametrised_tensor_is_refused():
    layer = layer_of(basis=fk.RSWAF(5, train_grid=True))
    parametrize.register_parametrization(layer, "grid", Halves())
    basis = fk.Chebyshev(degree=4)
    with pytest.raises(RuntimeError, match="grid is computed by the parametrisation Halves, and Chebyshev"):
        layer.set_functions(basis, {}, torch.zeros(4, 3, basis.num_basis))


def test_a_frozen_weight_as_a_buffer_stays_a_buffer():
    layer, x = layer_of(), rows()
    y, weight = layer(x).detach(), layer.weight.detach()
    del layer.weight
    layer.register_buffer("weight", weight)
    layer.refine(10)
    assert "weight" in dict(layer.named_buffers())
    torch.testing.assert_close(layer(x).detach(), y, rtol=1e-10, atol=1e-11)


def test_sharded_weights_are_refused():
    from torch.distributed.tensor import Shard, distribute_tensor, init_device_mesh

    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        layer, mesh = layer_of(), init_device_mesh("cpu", (1,))
        layer.weight = nn.Parameter(distribute_tensor(layer.weight.detach(), mesh, [Shard(0)]))
        before = layer.weight.full_tensor().clone()
        for name in ("refine", "update_grid", "fit_to", "set_mask"):
            with pytest.raises(RuntimeError, match=r"weight is a DTensor \(sharded or quantised\).* plain model first"):
                OPERATIONS[name](layer, rows())
        with pytest.raises(RuntimeError, match="weight is a DTensor"):
            layer.set_functions(layer.basis, layer.basis_tensors(), torch.zeros(4, 3, 8))
        assert torch.equal(layer.weight.full_tensor(), before)
    finally:
        dist.destroy_process_group()


@pytest.mark.filterwarnings("ignore:DTensor random operators")  # on the CPU
def test_sharded_weights_of_a_convolution_are_drawn_anew():
    from torch.distributed.tensor import Shard, distribute_tensor, init_device_mesh

    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        layer, mesh = fk.KANConv2d(3, 4, 2), init_device_mesh("cpu", (1,))
        layer.weight = nn.Parameter(distribute_tensor(torch.zeros_like(layer.weight), mesh, [Shard(0)]))
        layer.reset_parameters()
        assert layer.weight.full_tensor().all()
    finally:
        dist.destroy_process_group()


def test_a_flattened_weight_is_refused():
    layer = layer_of()
    layer.weight = nn.Parameter(layer.weight.detach().flatten())  # as FSDP keeps it between two forwards
    with pytest.raises(RuntimeError, match=r"its own weight is \(96,\) not \(4, 3, 8\)"):
        layer.set_functions(layer.basis, layer.basis_tensors(), torch.zeros(4, 3, 8))


def test_planned_writes_change_nothing_until_they_are_called():
    layer = weight_normed(layer_of())
    before = everything(layer)
    value = torch.rand_like(layer.weight.detach())
    commit = planned(layer, "weight", value)
    assert_unchanged(layer, before)
    commit()
    torch.testing.assert_close(layer.weight.detach(), value)


def test_a_convolution_is_reset_through_weight_norm():
    plain = fk.KANConv2d(3, 4, 3)
    layer = weight_normed(copy.deepcopy(plain))
    for each in (plain, layer):
        reset(each, None)
    torch.testing.assert_close(layer.weight, plain.weight)


@pytest.mark.parametrize("model", ["FasterKANvolver", "KANvolver"])
def test_image_models_refuse_to_reset_computed_weights(model):
    net = fk.create_model(model, [8, 2])
    conv = next(m for m in net.modules() if type(m).__name__ == "_Conv2d")
    parametrizations.weight_norm(conv, "weight")
    owner = net if hasattr(net, "reset_parameters") else net.features
    with pytest.raises(RuntimeError, match=r"weight is computed by the parametrisation _WeightNorm"):
        owner.reset_parameters()
