"""What the base branch sees: x, x with the mean and deviation of the data, or z = norm(x)."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import fasterkan as fk

from ..seeds import seed_of

UNITS = torch.tensor([1.0, 5e4, 3e-7], dtype=torch.float64)
OFFSETS = torch.tensor([0.0, 1e5, 1e-6], dtype=torch.float64)
FAMILIES = {
    "Hat": fk.Hat(80),
    "BSpline": fk.BSpline(),
    "RSWAF": fk.RSWAF(),
    "Chebyshev": fk.Chebyshev(4),
    "Wavelet": fk.Wavelet("dog"),
}


def table(rows: int = 200) -> Tensor:
    generator = torch.Generator().manual_seed(seed_of(3))
    return 2 * torch.rand(rows, 3, dtype=torch.float64, generator=generator) - 1


def network(basis: fk.Basis, **options: object) -> fk.KAN:
    generator = torch.Generator().manual_seed(seed_of(4))
    options = {"norm": "feature", "base": "silu", "dtype": torch.float64, "generator": generator} | options
    return fk.KAN([3, 5, 2], basis, **options)


@pytest.mark.parametrize(
    ("norm", "base", "expected"),
    [("feature", "silu", "scaled"), ("feature", None, "x"), ("layer", "silu", "x"), (None, "silu", "x")],
    ids=str,
)
def test_default(norm: str | None, base: str | None, expected: str) -> None:
    for layer in (fk.KANLinear(3, 2, norm=norm, base=base), fk.KANConv1d(3, 2, 1, norm=norm, base=base)):
        assert layer.base_input == expected and (layer.base_norm is not None) == (expected == "scaled")


@pytest.mark.parametrize("base_input", ["x", "scaled", "z"])
def test_values(base_input: str) -> None:
    x = table() * UNITS + OFFSETS
    layer = fk.KANLinear(3, 2, fk.Hat(5), norm="feature", base="silu", base_input=base_input, dtype=torch.float64)
    layer.calibrate(x)
    data, norm = x.numpy(), layer.norm
    constants = {
        "x": (0.0, 1.0),
        "scaled": (data.mean(0), 1 / data.std(0)),
        "z": (norm.center.numpy(), norm.scale.numpy()),
    }[base_input]
    seen = (data - constants[0]) * constants[1]
    expected = (seen / (1 + np.exp(-seen))) @ layer.base_weight.detach().numpy().T
    with torch.no_grad():
        branch = layer(x)
        layer.base_weight.zero_()
        branch -= layer(x)
    np.testing.assert_allclose(branch.numpy(), expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("base_input", ["scaled", "z"])
def test_units_do_not_matter(family: str, base_input: str) -> None:
    """Outputs and gradients have the size that initialisation promises, whatever the units of the columns."""
    found = []
    for units, offsets in ((1.0, 0.0), (UNITS, OFFSETS)):
        net, x = network(FAMILIES[family], base_input=base_input), table() * units + offsets
        net.calibrate(x)
        y = net(x)
        y.square().mean().backward()
        found.append([y.detach(), *(p.grad for p in net.parameters())])
    for standard, natural in zip(*found, strict=True):
        torch.testing.assert_close(natural, standard, rtol=1e-6, atol=1e-8)


def test_training_on_natural_units_is_that_on_the_standardised_table() -> None:
    losses = []
    for units in (1.0, torch.tensor([1.0, 5e4, 1.0], dtype=torch.float64)):
        net, x = network(fk.BSpline()), table() * units
        y = (table()[:, :2] * torch.tensor([3.0, 2.0], dtype=torch.float64)).sin()
        net.calibrate(x)
        optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
        for _ in range(100):
            optimizer.zero_grad()
            loss = F.mse_loss(net(x), y)
            loss.backward()
            optimizer.step()
        losses.append(loss.item())
    assert losses[1] == pytest.approx(losses[0], rel=1e-3) and losses[0] < 0.25 * float(y.var())


def test_the_first_batch_of_training_sets_the_constants() -> None:
    x = (table() * UNITS + OFFSETS).float()
    layer = fk.KANLinear(3, 2, norm="feature", base="silu")
    layer(x)
    np.testing.assert_allclose(layer.base_norm.center.numpy(), x.double().mean(0).numpy(), rtol=1e-6)
    np.testing.assert_allclose(1 / layer.base_norm.scale.numpy(), x.double().numpy().std(0), rtol=1e-6)


def test_a_constant_column_is_centred_only() -> None:
    layer = fk.KANLinear(2, 1, norm="feature", base="silu")
    layer.calibrate(torch.tensor([[7.0, 1.0], [7.0, 3.0]]))
    assert layer.base_norm.center.tolist() == [7.0, 2.0] and layer.base_norm.scale.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("base_input", ["x", "scaled", "z"])
def test_the_function_stays_when_the_norm_moves(family: str, base_input: str) -> None:
    layer = network(FAMILIES[family], base_input=base_input).layers[0]
    layer.calibrate(table())
    with torch.no_grad():
        layer.weight *= 0.1  # the base branch does most
    wider, x = 1.3 * table() + 0.2, table()
    before = layer(x)
    constants = copy.deepcopy(layer.base_norm)
    error = layer.calibrate(wider)[""]
    if family == "Hat":
        assert error < 0.01
    measured = float((layer(x) - before).detach().norm() / before.detach().norm())
    assert measured <= 3 * error + 1e-9
    if constants is not None:
        assert torch.equal(layer.base_norm.center, constants.center)
        assert torch.equal(layer.base_norm.scale, constants.scale)


def test_update_norms_tells_what_a_branch_on_z_loses() -> None:
    """Two straight lines cannot take over what a steep branch loses; the error says so."""
    layer = fk.KANLinear(1, 1, fk.Hat(2), norm="feature", base=nn.Tanh(), base_input="z", dtype=torch.float64)
    layer.calibrate(table()[:, :1])
    with torch.no_grad():
        layer.weight.zero_()
        layer.base_weight.fill_(1.0)
    layer.train()(10 * table()[:, :1])
    assert fk.update_norms(layer)[""] > 0.1


def test_a_fitted_layer_takes_over_the_branch() -> None:
    x = table()
    for base_input in ("x", "scaled", "z"):
        theirs, mine = (
            fk.KANLinear(3, 2, fk.Hat(8), norm="feature", base="silu", base_input=each, dtype=torch.float64)
            for each in (base_input, "z")
        )
        theirs.calibrate(x)
        mine.calibrate(x)
        mine.fit_to(theirs)
        torch.testing.assert_close(mine(x), theirs(x), rtol=1e-6, atol=1e-6)
        other = fk.KANLinear.from_spec(theirs.spec, dtype=torch.float64)
        other.calibrate(3 * x + 1)
        other.fit_to(theirs, x)
        with torch.no_grad():
            branches = [layer(x) for layer in (theirs, other)]
            for layer in (theirs, other):
                layer.base_weight.zero_()
            branches = [branch - layer(x) for branch, layer in zip(branches, (theirs, other), strict=True)]
        torch.testing.assert_close(*branches)


def test_state_and_copies() -> None:
    x = table()
    net = network(fk.BSpline())
    net.calibrate(x * UNITS)
    other = network(fk.BSpline(), generator=torch.Generator().manual_seed(9))
    other.load_state_dict(net.state_dict())
    average = torch.optim.swa_utils.AveragedModel(net)
    average.update_parameters(net)
    for each in (other, average, copy.deepcopy(net)):
        assert torch.equal(each.eval()(x), net.eval()(x))


@pytest.mark.parametrize("base_input", ["x", "scaled", "z"])
def test_convolutions(base_input: str) -> None:
    """The branch of a convolution pads what it sees with 0."""
    generator = torch.Generator().manual_seed(seed_of(5))
    images = 100 + 30 * torch.randn(6, 4, 7, 5, dtype=torch.float64, generator=generator)
    options = {"padding": 1, "groups": 2, "base_input": base_input, "dtype": torch.float64}
    layer = fk.KANConv2d(4, 6, 3, basis=fk.Hat(5), norm="feature", base="silu", **options)
    layer.calibrate(images)
    mean, deviation = images.mean((0, 2, 3)), images.std((0, 2, 3), correction=0)
    constants = {
        "x": (torch.zeros(4), torch.ones(4)),
        "scaled": (mean, 1 / deviation),
        "z": (layer.norm.center, layer.norm.scale),
    }[base_input]
    center, scale = (each.view(-1, 1, 1) for each in constants)
    expected = F.conv2d(F.silu((images - center) * scale), layer.base_weight, padding=1, groups=2)
    whole = layer(images)
    with torch.no_grad():
        layer.base_weight.zero_()
    torch.testing.assert_close(whole - layer(images), expected)


@pytest.mark.parametrize("base_input", ["x", "scaled", "z"])
def test_folded_convolutions(base_input: str) -> None:
    images = 5 + 3 * table(40).reshape(2, 3, 4, 5)
    layer = fk.KANConv2d(3, 2, 2, basis=fk.Hat(5), norm="feature", base="silu", base_input=base_input).double()
    layer.calibrate(images)
    before = layer(images)
    layer.fold()
    assert layer.norm is None
    torch.testing.assert_close(layer(images), before)


@pytest.mark.parametrize("base_input", ["x", "scaled", "z"])
def test_gradients(base_input: str) -> None:
    x = table(4).requires_grad_()
    layer = fk.KANLinear(3, 2, fk.RSWAF(4), norm="feature", base="tanh", base_input=base_input, dtype=torch.float64)
    layer.calibrate(table())
    layer.eval()
    assert torch.autograd.gradcheck(layer, (x,))
    assert torch.autograd.gradgradcheck(layer, (x,))
    torch.testing.assert_close(torch.compile(layer, backend="eager", fullgraph=True)(x), layer(x))


def test_autocast_and_half_precision() -> None:
    x = (table() * torch.tensor([1.0, 5e4, 1.0])).float()
    layer = fk.KANLinear(3, 2, norm="feature", base="silu")
    layer.calibrate(x)
    exact = copy.deepcopy(layer).double()(x.double())
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.double(), exact, rtol=0.05, atol=0.05)


def test_another_word_is_refused() -> None:
    with pytest.raises(ValueError, match='KANLinear: base_input must be "x", "scaled" or "z", got \'norm\''):
        fk.KANLinear(3, 2, base="silu", base_input="norm")
    with pytest.raises(ValueError, match='KANConv1d: base_input must be "x", "scaled" or "z", got 3'):
        fk.KANConv1d(3, 2, 1, base="silu", base_input=3)


def test_a_norm_without_data_is_refused() -> None:
    with pytest.raises(ValueError, match=r'KANLinear: base_input="scaled" takes mean and deviation .*got the norm Row'):
        fk.KANLinear(3, 2, norm="layer", base="silu", base_input="scaled")


def test_a_calibrated_norm_gives_its_constants_to_a_new_layer() -> None:
    first = fk.KANLinear(3, 2, norm="feature", dtype=torch.float64)
    first.calibrate(table() * UNITS + OFFSETS)
    layer = fk.KANLinear(3, 4, norm=copy.deepcopy(first.norm), base="silu", dtype=torch.float64)
    assert torch.equal(layer.base_norm.center, first.norm.center)
    assert torch.equal(layer.base_norm.scale, first.norm.scale)


def test_layers_pickled_before_there_were_scales() -> None:
    layer = fk.KANLinear(3, 2, norm="feature", base="silu", base_input="z")
    layer.calibrate(table().float())
    state = layer.__getstate__()
    del state["base_norm"]
    old = fk.KANLinear.__new__(fk.KANLinear)
    old.__setstate__(state)
    assert torch.equal(old(table().float()), layer(table().float()))


@pytest.mark.parametrize("training", [True, False])
def test_a_callable_in_one_dtype_can_be_moved_and_is_called_in_evaluation(training: bool) -> None:
    slope = torch.tensor([0.25])
    layer = fk.KANLinear(3, 2, fk.Hat(60), norm="feature", base=lambda z: F.prelu(z, slope), base_input="z")
    layer.calibrate(table().float())
    x = table().float()
    before = layer(x).detach()
    error = layer.train(training).calibrate(1.5 * x)[""]
    assert float((layer(x).detach() - before).norm() / before.norm()) < 3 * error + 1e-4 < 0.3


def test_a_base_that_cannot_be_called_changes_nothing() -> None:
    calls: list[int] = []

    def once_wrong(z: Tensor) -> Tensor:
        calls.append(len(z))
        if len(z) == 1:
            raise RuntimeError("no single row")
        return z

    layer = fk.KANLinear(3, 2, norm="feature", base=once_wrong, base_input="z")
    layer.calibrate(table().float())
    before = copy.deepcopy(layer.state_dict())
    with pytest.raises(RuntimeError, match="no single row"):
        layer.calibrate(2 * table().float())
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())


def test_zeros_around_an_image_are_not_folded() -> None:
    layer = fk.KANConv2d(3, 2, 3, padding=1, basis=fk.Hat(5), norm="feature").double()
    images = 5 + table(40).reshape(2, 3, 4, 5)
    layer.calibrate(images)
    before = layer(images)
    with pytest.raises(ValueError, match=r"fold: KANConv2d pads z = norm\(x\) with zeros"):
        layer.fold()
    assert torch.equal(layer(images), before)
    around = fk.KANConv2d(3, 2, 3, padding=1, padding_mode="reflect", basis=fk.Hat(5), norm="feature").double()
    around.calibrate(images)
    before = around(images)
    around.fold()
    torch.testing.assert_close(around(images), before)
