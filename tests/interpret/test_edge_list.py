"""Edges as objects: their functions, where the data lies, and what they are worth."""

from __future__ import annotations

import dataclasses

import pytest
import torch

import fasterkan as fk
from fasterkan.interpret import bands, bootstrap_bands
from fasterkan.interpret._shapley import explained_shares
from fasterkan.interpret.edge import shape_of

from ..seeds import seed_of


@pytest.fixture
def net():
    net = fk.KAN([3, 4, 2], norm="feature", base="silu", dtype=torch.float64)
    net.calibrate(torch.rand(200, 3, dtype=torch.float64))
    return net


@pytest.fixture
def rows():
    return torch.rand(300, 3, dtype=torch.float64)


@pytest.mark.parametrize(
    "basis",
    [
        fk.RSWAF(6),
        fk.BSpline(4),
        fk.Chebyshev(3),
        fk.Fourier(3),
        fk.Wavelet("mexican_hat"),
        fk.RSWAF(5, per_feature=True),
    ],
    ids=["rswaf", "bspline", "chebyshev", "fourier", "wavelet", "per-feature"],
)
@pytest.mark.parametrize("norm", ["feature", None], ids=["feature", "no-norm"])
def test_edges_add_up_to_the_networks_outputs(basis, norm, rows):
    net = fk.KAN([3, 2], basis, norm=norm, base="silu", dtype=torch.float64)
    if norm:
        net.calibrate(rows)
    whole = net.layers[0].bias.detach() + torch.zeros(len(rows), 2, dtype=torch.float64)
    for edge in fk.edges(net, rows):
        assert abs(float(edge(rows[:, edge.input]).mean())) < 1e-12 * max(1, abs(edge.mean))
        whole[:, edge.output] += edge.mean + edge(rows[:, edge.input])
    torch.testing.assert_close(whole, net(rows).detach(), rtol=1e-9, atol=1e-9)


def test_there_is_one_edge_for_each_pair_in_order(net, rows):
    found = [(e.layer, e.output, e.input) for e in fk.edges(net, rows)]
    assert found == sorted(found)
    assert len(found) == 3 * 4 + 4 * 2
    assert [e.name for e in fk.edges(net, rows)][::9] == ["x1 -> h1.1", "x1 -> h1.4", "h1.3 -> y2"]


def test_the_table_of_a_function_is_the_function_over_the_datas_range(net, rows):
    for edge in fk.edges(net, rows, points=33):
        torch.testing.assert_close(edge(edge.points), edge.values, rtol=1e-12, atol=1e-12)
        assert len(edge.points) == 33
    first = fk.edges(net, rows)[1]
    assert (first.points[0], first.points[-1]) == (rows[:, 1].min(), rows[:, 1].max())


def test_an_edge_is_differentiable_and_takes_any_shape(net, rows):
    edge = fk.edges(net, rows)[0]
    x = torch.full((2, 3), 0.3, dtype=torch.float64, requires_grad=True)
    y = edge(x)
    (slope,) = torch.autograd.grad(y.sum(), x)
    assert y.shape == (2, 3)
    step = 1e-6
    assert slope[0, 0].item() == pytest.approx(float(edge(0.3 + step) - edge(0.3 - step)) / (2 * step), rel=1e-5)


def test_an_edge_does_not_change_when_the_network_does(net, rows):
    edge = fk.edges(net, rows)[0]
    before = edge(0.5)
    with torch.no_grad():
        net.layers[0].weight.zero_()
    assert edge(0.5) == before != 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        edge.share = 1.0


def test_shares_are_those_of_the_variances(net, rows):
    inner = net.layers[0](rows).detach()
    found = fk.edges(net, rows)
    for node in range(2):
        here = [e for e in found if e.layer == 1 and e.output == node]
        parts = torch.stack([e(inner[:, e.input]) for e in here], 1)
        expected, _ = explained_shares(parts.t() @ parts / len(rows), [], torch.Generator())
        shares = torch.tensor([e.share for e in here], dtype=torch.float64)
        torch.testing.assert_close(shares, expected)
    assert sum(e.additive for e in found if e.layer == 0) == pytest.approx(1)
    assert sum(e.additive for e in found if e.layer == 1) == pytest.approx(1)


def test_histograms_count_every_row(net, rows):
    for edge in fk.edges(net, rows, bins=7):
        assert edge.histogram.sum() == len(rows)
        assert len(edge.bin_edges) == 8
    counts = fk.edges(net, rows, bins=7)[0].histogram
    expected = torch.histogram(rows[:, 0], 7, range=(float(rows[:, 0].min()), float(rows[:, 0].max())))[0]
    assert counts.tolist() == expected.tolist()


def test_without_data_the_range_is_that_of_the_norm(net):
    edge = fk.edges(
        net,
    )[0]
    assert edge.histogram is None and edge.share is None and edge.band is None
    low, high = net.layers[0].basis.grid_range
    norm = net.layers[0].norm
    torch.testing.assert_close(
        (edge.points[[0, -1]] - norm.center[0]) * norm.scale[0], torch.tensor([low, high]).double()
    )


@pytest.mark.parametrize(
    ("function", "monotonicity", "flatness"),
    [
        (lambda x: 2 * x, 1.0, 0.0),
        (lambda x: 0 * x, 1.0, 1.0),
        (lambda x: x.square(), 0.5, 0.05),
        (lambda x: x.clamp_min(0), 1.0, 0.5),
    ],
    ids=["line", "constant", "parabola", "ramp"],
)
def test_monotonicity_and_flatness(function, monotonicity, flatness):
    x = torch.linspace(-1, 1, 2000, dtype=torch.float64)
    slopes = torch.func.jvp(function, (x,), (torch.ones_like(x),))[1]
    found = shape_of(slopes)
    assert float(found[0]) == pytest.approx(monotonicity, abs=2e-3)
    assert float(found[1]) == pytest.approx(flatness, abs=2e-3)


def test_bands_cover_the_truth(fitted):
    """95 % of the points lie within two standard deviations, and the mean squared error is that of the bands.

    Ten sets of noise and two edges with about six degrees of freedom each make a chi square of 120, whose mean has a
    deviation of .13. Between edges the share of the points inside has a deviation of .13, so the mean of 20 has .03.
    """
    inside, squares = [], []
    for seed in range(10):
        torch.manual_seed(seed_of(seed))
        net, x, y = fitted([2, 1], lambda x: torch.sin(2 * x[:, :1]) + x[:, 1:] ** 2, rows=150, noise=0.2)
        for edge, truth in zip(fk.edges(net, x, y), (lambda t: torch.sin(2 * t), lambda t: t**2), strict=True):
            own, true = edge.values - edge(x[:, edge.input]).mean(), truth(edge.points) - truth(x[:, edge.input]).mean()
            inside.append(((own - true).abs() < 2 * edge.band).double().mean())
            squares.append(((own - true) / edge.band).square().mean())
            assert 0.01 < float(edge.band.mean()) < 0.2
    assert float(torch.stack(inside).mean()) > 0.95 - 5 * 0.03
    assert 1 - 5 * 0.13 < float(torch.stack(squares).mean()) < 1 + 5 * 0.13


def test_bands_that_were_computed_before_are_taken(net, rows):
    y = net(rows).detach() + 0.1 * torch.randn(300, 2, dtype=torch.float64)
    for found in (bands(net, rows, y, points=11), bootstrap_bands(net, rows, y, draws=2, points=11)):
        for edge in fk.edges(net, rows, points=11, bands=found):
            assert torch.equal(edge.band, found[edge.layer][:, edge.output, edge.input])
    with pytest.raises(ValueError, match=r"bands are \[\(11, 4, 3\), .* expected \[\(101, 4, 3\), .* with points=101"):
        fk.edges(net, rows, bands=found)
    with pytest.raises(ValueError, match="edges: give y or bands, not both"):
        fk.edges(net, rows, y, bands=found)
    with pytest.raises(ValueError, match="edges: bands were given without X"):
        fk.edges(net, bands=found)


def test_bands_grow_where_there_is_no_data():
    x = torch.rand(200, 1, dtype=torch.float64)
    x[0] = 3.0
    net = fk.KAN([1, 1], fk.BSpline(10), norm="feature", dtype=torch.float64)
    net.calibrate(x)
    (edge,) = fk.edges(net, x, net(x).detach() + 0.05 * torch.randn(200, 1))
    gap, covered = edge.band[(edge.points > 1.5) & (edge.points < 2.5)], edge.band[edge.points < 0.9]
    assert gap.mean() > 3 * covered.mean()


def test_a_constant_column_is_one_point(rows):
    rows[:, 1] = 0.25
    net = fk.KAN([3, 2, 1], norm="feature", dtype=torch.float64)
    net.calibrate(rows)
    edge = fk.edges(net, rows)[1]
    assert edge.points.unique().tolist() == [0.25]
    assert edge.share == pytest.approx(0, abs=1e-20)
    assert edge.histogram.sum() == len(rows)


def test_masked_edges_are_left_out(net, rows):
    net.layers[1].set_mask(torch.tensor([[True, False, True, True], [False, True, True, True]]))
    assert len(fk.edges(net, rows)) == 12 + 6


@pytest.mark.parametrize(
    ("norm", "name"),
    [
        ("layer", "LayerNorm"),
        ("rms", "RMSNorm"),
        ("batch_range", "BatchRange"),
        ([None, "layer"], "layer 1 has LayerNorm"),
    ],
    ids=["layer", "rms", "batch-range", "second-layer"],
)
def test_norms_over_a_row_have_no_function_of_one_variable(norm, name, rows):
    with pytest.raises(ValueError, match=f'{name}.*not functions of one variable.*norm="feature"'):
        fk.edges(fk.KAN([3, 4, 1], norm=norm), rows)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda x: fk.edges(torch.nn.Linear(3, 1), x), TypeError, "must be a KAN or a KANLinear, got Linear"),
        (lambda x: fk.edges(fk.KAN([3, 1], norm="feature"), x), RuntimeError, "layer 0 is not calibrated"),
        (lambda x: fk.edges(fk.KAN([3, 1], norm=None, after="batchnorm"), x), ValueError, "after=None"),
        (lambda x: fk.edges(fk.KAN([4, 1], norm=None), x), ValueError, r"X is \[300, 3\], expected \[rows, 4\]"),
        (
            lambda x: fk.edges(fk.KAN([3, 1], norm=None), x * float("nan")),
            ValueError,
            "X is nan in row 0, column 0",
        ),
        (lambda x: fk.edges(fk.KAN([3, 1], norm=None), x[:1]), ValueError, "at least 2"),
        (lambda x: fk.edges(fk.KAN([3, 1], norm=None), ["a"]), TypeError, "tensor or an array of numbers, got list"),
        (lambda x: fk.edges(fk.KAN([3, 1], norm=None), x, x), ValueError, r"y is .*\[300, 3\], expected"),
        (lambda x: fk.edges(fk.KAN([3, 1], norm=None), y=x), ValueError, "without X"),
        (lambda x: fk.edges(fk.KAN([3, 1], norm=None), x, points=1), ValueError, "points must be at least 2"),
        (lambda x: fk.edges(fk.KAN([3, 400, 1], norm=None), x, x[:, 0]), ValueError, "layer 0 has 9600 weights"),
    ],
    ids=["module", "new", "after", "width", "nan", "one-row", "list", "y", "y-alone", "points", "big-bands"],
)
def test_bad_calls(make, error, words, rows):
    with pytest.raises(error, match=words):
        make(rows)
