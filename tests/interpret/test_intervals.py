"""Intervals of predictions and derivatives: those of linear regression, and how often they hold the truth."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
import scipy.stats
import torch

import fasterkan as fk
from fasterkan.interpret._posterior import _Path
from fasterkan.nn.edge_functions import panel

from ..seeds import seed_of


def design_of(net, x):
    """The columns of the linear model: the functions of all edges, and the bias."""
    return torch.cat([panel(net.layers[0], x).flatten(1), torch.ones(len(x), 1, dtype=torch.float64)], 1)


def least_squares(net, x, y):
    """Give a network of one layer the weights of linear regression."""
    found = torch.linalg.lstsq(design_of(net, x), y, driver="gelsd").solution  # [I K + 1, O]
    layer = net.layers[0]
    with torch.no_grad():
        layer.weight.copy_(found[:-1].t().reshape(layer.weight.shape))
        layer.bias.copy_(found[-1])
    return net


def table(rows, columns=2, outputs=1, noise=0.3, seed=0):
    generator = torch.Generator().manual_seed(seed_of(seed))
    x = 2 * torch.rand(rows, columns, generator=generator, dtype=torch.float64) - 1
    truth = torch.sin(2 * x[:, :1]) + x[:, -1:] ** 2 + torch.arange(outputs) * x[:, :1]
    return x, truth + noise * torch.randn(rows, outputs, generator=generator, dtype=torch.float64)


def textbook(net, x, y, new, coverage, *, noisy):
    """Half widths of the intervals of linear regression, by numpy and scipy."""
    design, at = design_of(net, x).detach().numpy(), design_of(net, new).detach().numpy()
    rank = np.linalg.matrix_rank(design)
    residual = y.numpy() - net(x).detach().numpy()
    variance = (residual**2).sum(0) / (len(x) - rank)  # [O]
    leverage = ((at @ np.linalg.pinv(design)) ** 2).sum(1, keepdims=True)
    t = scipy.stats.t.ppf((1 + coverage) / 2, len(x) - rank)
    return t * np.sqrt(variance * (leverage + noisy))


@pytest.mark.parametrize("of", ["observation", "mean"])
@pytest.mark.parametrize("outputs", [1, 2], ids=lambda n: f"{n}-outputs")
@pytest.mark.parametrize("basis", [fk.Legendre(3), fk.BSpline(4), fk.RSWAF(4)], ids=["legendre", "bspline", "rswaf"])
def test_intervals_of_a_linear_model_are_those_of_linear_regression(of, outputs, basis):
    x, y = table(40, outputs=outputs)
    net = least_squares(fk.KAN([2, outputs], basis, norm=None, dtype=torch.float64), x, y)
    new, _ = table(15, seed=1)
    found = fk.predict_interval(net, x, y, new, coverage=0.8, of=of, smooth=False)
    half = torch.from_numpy(textbook(net, x, y, new, 0.8, noisy=of == "observation"))
    prediction = net(new).detach()
    torch.testing.assert_close(found.prediction, prediction)
    torch.testing.assert_close(found.high - prediction, half, rtol=1e-6, atol=0)
    torch.testing.assert_close(prediction - found.low, half, rtol=1e-6, atol=0)


def test_smoothness_changes_nothing_for_straight_lines():
    x, y = table(30, 1)
    net = least_squares(fk.KAN([1, 1], fk.Legendre(1), norm=None, dtype=torch.float64), x, y)
    _, low, high = fk.predict_interval(net, x, y, x)
    half = torch.from_numpy(textbook(net, x, y, x, 0.9, noisy=True))
    torch.testing.assert_close(high - low, 2 * half, rtol=1e-5, atol=0)


def test_the_slope_of_a_straight_line_has_its_textbook_interval():
    x, y = table(30, 1)
    net = least_squares(fk.KAN([1, 1], fk.Legendre(1), norm=None, dtype=torch.float64), x, y)
    slope, low, high = fk.derivative_interval(net, x, y, x[:4], coverage=0.95)
    line = scipy.stats.linregress(x[:, 0].numpy(), y[:, 0].numpy())
    assert slope.shape == (4, 1, 1)
    assert slope.flatten().tolist() == pytest.approx([line.slope] * 4)
    half = scipy.stats.t.ppf(0.975, 28) * line.stderr
    assert (high - slope).flatten().tolist() == pytest.approx([half] * 4, rel=1e-5)
    assert (slope - low).flatten().tolist() == pytest.approx([half] * 4, rel=1e-5)


def test_second_derivatives_of_a_parabola_have_their_interval():
    """y = a + b x + c x^2: the second derivative is 2 c everywhere."""
    x, y = table(30, 1)
    net = least_squares(fk.KAN([1, 1], fk.Monomial(2), norm=None, dtype=torch.float64), x, y)
    powers = torch.cat([torch.ones_like(x), x, x**2], 1)
    covariance = torch.linalg.inv(powers.t() @ powers) * (net(x) - y).detach().square().sum() / 27
    curvature, low, high = fk.derivative_interval(net, x, y, x[0], 2, smooth=False)
    assert curvature.shape == (1, 1, 1)
    torch.testing.assert_close(curvature.flatten(), 2 * torch.linalg.lstsq(powers, y).solution[2])
    half = 2 * float(covariance[2, 2]) ** 0.5 * scipy.stats.t.ppf(0.95, 27)
    assert float(high - low) == pytest.approx(2 * half, rel=1e-6)


@pytest.mark.parametrize("of", ["observation", "mean"])
def test_intervals_hold_the_truth_as_often_as_they_say(of):
    """One point of each of 200 tables, so that the hits are independent."""
    hits, tables = 0, 200
    net = fk.KAN([1, 1], fk.Chebyshev(2), norm=None, dtype=torch.float64)
    for seed in range(tables):
        generator = torch.Generator().manual_seed(seed_of(seed))
        x = 2 * torch.rand(21, 1, generator=generator, dtype=torch.float64) - 1
        mean = 1 - x + 2 * x**2
        y = mean + 0.5 * torch.randn(21, 1, generator=generator, dtype=torch.float64)
        least_squares(net, x[:20], y[:20])
        _, low, high = fk.predict_interval(net, x[:20], y[:20], x[20], coverage=0.8, of=of, smooth=False)
        hits += bool(low < (y if of == "observation" else mean)[20] < high)
    assert abs(hits / tables - 0.8) < 4 * math.sqrt(0.8 * 0.2 / tables)  # four standard deviations of a binomial


def test_intervals_of_a_fit_with_many_weights_hold_new_values():
    """150 rows and 76 weights: without smoothness, half of the error would be taken for that of the weights."""
    fractions = []
    for seed in range(6):
        x, y = table(1150, noise=0.2, seed=seed)
        net = fk.KAN([2, 3, 1], fk.BSpline(4), norm="feature", base="silu", dtype=torch.float64)
        fk.fit(net, x[:150], y[:150], starts=2, grids=None, iterations=12, smoothness=1e-3, seed=seed, progress=False)
        _, low, high = fk.predict_interval(net, x[:150], y[:150], x[150:])
        fractions.append(((low < y[150:]) & (y[150:] < high)).double().mean())
    # The noise is known to 1 / sqrt(2 * 110) = 7 %, which changes the coverage of a table by 0.024; 1000 values add
    # 0.01, and the error of the fit is known no better. What the network cannot represent is allowed 0.02.
    assert abs(float(torch.stack(fractions).mean()) - 0.9) < 4 * 0.03 / 6**0.5 + 0.02


def test_derivatives_of_a_fit_hold_the_truth():
    inside = []
    for seed in range(6):
        x, y = table(150, noise=0.1, seed=seed)
        net = fk.KAN([2, 1], fk.BSpline(5), norm="feature", dtype=torch.float64)
        fk.fit(net, x, y, starts=1, grids=None, iterations=15, progress=False)
        new = x[:50]
        found = fk.derivative_interval(net, x, y, new, coverage=0.9)
        torch.testing.assert_close(found.prediction, fk.derivatives(net, new))
        truth = torch.stack([2 * torch.cos(2 * new[:, 0]), 2 * new[:, 1]], 1).unsqueeze(1)
        inside.append(((found.low < truth) & (truth < found.high)).double().mean())
    # 100 derivatives of one table depend on about ten weights: a standard deviation of sqrt(0.09 / 10) a table
    assert abs(float(torch.stack(inside).mean()) - 0.9) < 4 * (0.09 / 10 / 6) ** 0.5


def test_intervals_are_wide_where_there_are_no_rows():
    x, y = table(200, 1, noise=0.1)
    kept = (x[:, 0] < 0) | (x[:, 0] > 0.6)
    net = fk.KAN([1, 1], fk.BSpline(10), norm="feature", dtype=torch.float64)
    fk.fit(net, x[kept], y[kept], starts=1, grids=None, progress=False)
    new = torch.tensor([[-0.5], [0.3]], dtype=torch.float64)
    _, low, high = fk.predict_interval(net, x[kept], y[kept], new, of="mean")
    assert float(high[1] - low[1]) > 2 * float(high[0] - low[0])


def test_units_do_not_matter():
    x, y = table(60)
    net = least_squares(fk.KAN([2, 1], fk.BSpline(4), norm=None, dtype=torch.float64), x, y)
    expected = fk.predict_interval(net, x, y, x[:5])
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(1e12)
    found = fk.predict_interval(net, x, 1e12 * y, x[:5])
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one / 1e12, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rank", [1, 4, 7])
def test_directions_without_data_count_nothing(rank):
    """With data in `rank` of ten directions, a weak smoothness leaves just these to the data."""
    data, other = torch.randn(10, rank, dtype=torch.float64), torch.randn(10, 30, dtype=torch.float64)
    slope = torch.zeros(10, dtype=torch.float64)
    path = _Path(data @ data.t(), other @ other.t(), slope, slope)
    assert path.determined(1e-13) == pytest.approx(rank, abs=1e-6)


@pytest.mark.parametrize("order", [0, -1])
def test_values_are_no_derivatives(order):
    x, y = table(30, 1)
    net = fk.KAN([1, 1], fk.Monomial(2), norm=None, dtype=torch.float64)
    with pytest.raises(ValueError, match=f"derivative_interval: order must be at least 1, got {order}"):
        fk.derivative_interval(net, x, y, x[:4], order=order)


def test_arrays_lists_and_single_points():
    x, y = table(50)
    net = least_squares(fk.KAN([2, 1], fk.BSpline(4), norm=None, dtype=torch.float64), x, y)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    expected = fk.predict_interval(net, x, y, x[:3])
    for found in (
        fk.predict_interval(net, x.numpy(), y[:, 0].numpy(), x[:3].numpy()),
        fk.predict_interval(net, x.tolist(), y.tolist(), x[:3].tolist()),
        fk.predict_interval(net.train(), x, y, x[:3]),
    ):
        assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    for one, other in zip(fk.predict_interval(net, x, y, x[1]), expected, strict=True):
        torch.testing.assert_close(one, other[1])
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


def test_a_network_in_single_precision():
    x, y = table(50)
    net = least_squares(fk.KAN([2, 1], fk.BSpline(4), norm=None, dtype=torch.float64), x, y)
    expected = fk.predict_interval(net, x, y, x[:3])
    for one, other in zip(fk.predict_interval(net.float(), x, y, x[:3]), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)


def test_scipy_is_asked_for_by_name(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.special", None)
    x, y = table(50)
    net = fk.KAN([2, 1], norm=None, dtype=torch.float64)
    for interval in (fk.predict_interval, fk.derivative_interval):
        with pytest.raises(ImportError, match=rf'{interval.__name__} needs scipy: pip install "fasterkan\[symbolic\]"'):
            interval(net, x, y, x)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"coverage": 1}, ValueError, "predict_interval: coverage must be between 0 and 1, got 1"),
        ({"coverage": "90"}, TypeError, "predict_interval: coverage"),
        ({"of": "median"}, ValueError, '"observation" or "mean", got \'median\''),
        ({"smooth": 0.1}, TypeError, "smooth must be True or False"),
        ({"net": torch.nn.Linear(2, 1)}, TypeError, "predict_interval: net must be a KAN or a KANLinear, got Linear"),
        ({"net": fk.KAN([2, 300, 1], norm=None)}, ValueError, "weights that are learned, from 1 to 3000 are possible"),
        ({"X": torch.full((20, 2), math.nan)}, ValueError, "predict_interval: X is nan in row 0, column 0 and 39"),
        ({"y": torch.rand(20, 2)}, ValueError, r"predict_interval: y is torch.float32 \[20, 2\]"),
        ({"new": torch.rand(1, 2, 2)}, ValueError, r"predict_interval: x is \[1, 2, 2\]"),
        ({"net": fk.KAN([2, 5, 1], norm=None), "smooth": False}, ValueError, "so no error is left to tell the noise"),
    ],
    ids=["coverage-1", "coverage-text", "of", "smooth", "module", "wide", "nan", "targets", "new", "no-error"],
)
def test_bad_calls(change, error, words):
    arguments = {"net": fk.KAN([2, 1], norm=None), "X": torch.rand(20, 2), "y": torch.rand(20), "new": torch.rand(3, 2)}
    arguments |= change
    with pytest.raises(error, match=words):
        fk.predict_interval(**arguments)
