"""fk.fit on equations: as a whole and point by point, by every way to differentiate, and its Jacobians."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.func import jvp

import fasterkan as fk
from fasterkan.fitting import effort
from fasterkan.fitting import rows as rows_module
from fasterkan.fitting.flat import FlatNet
from fasterkan.fitting.losses import Huber, Logistic, Squared
from fasterkan.fitting.residual import Residual
from fasterkan.fitting.rows import Rows

from ..seeds import seed_of

T = torch.linspace(0, 2, 40, dtype=torch.float64).unsqueeze(-1)
START = torch.zeros(1, 1, dtype=torch.float64)


def network(seed: int = 0) -> fk.KAN:
    generator = torch.Generator().manual_seed(seed_of(seed))
    basis = fk.Legendre(degree=8, domain=None)
    norm = fk.FeatureNorm(mode="range")
    return fk.KAN([1, 1], basis=basis, norm=norm, dtype=torch.float64, generator=generator)


ELSEWHERE = nn.Sequential(nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 1)).double()


def slope(net: nn.Module, t: Tensor) -> Tensor:
    return jvp(net, (t,), (torch.ones_like(t),))[1]


def slope_by_autograd(net: nn.Module, t: Tensor) -> Tensor:
    t = t.clone().requires_grad_()
    return torch.autograd.grad(net(t).sum(), t, create_graph=True)[0]


def error(net: nn.Module) -> float:
    with torch.no_grad():
        return float((net(T) - torch.exp(-T)).abs().max())


@pytest.mark.parametrize("way", [slope, slope_by_autograd], ids=["torch.func", "autograd.grad"])
def test_decay_as_a_whole(way):
    net = network()
    result = fk.fit(net, T, residual=lambda n: torch.cat([way(n, T) + n(T), n(START) - 1]), starts=2, grids=None)
    assert error(net) < 1e-6 and result.held_out is None and result.stopped == "converged"


def test_decay_point_by_point():
    net = network()
    fk.fit(net, residual=[(lambda n, t: slope(n, t) + n(t), T), (lambda n, t: n(t) - 1, START, 2.0)], starts=2)
    assert error(net) < 1e-6


def test_held_out_equations_choose():
    net = network()
    between = (T[1:] + T[:-1]) / 2
    result = fk.fit(
        net, T, residual=lambda n: n(T) - T.square(), held_out=lambda n: n(between) - between.square(), starts=3
    )
    assert result.held_out is not None and result.held_out < 1e-8


def test_second_derivatives_of_a_spline_network_with_a_base_branch():
    def equation(net: nn.Module, t: Tensor) -> Tensor:
        return jvp(lambda s: slope(net, s), (t,), (torch.ones_like(t),))[1] + net(t)

    net = fk.KAN([1, 1], basis=fk.BSpline(12, degree=5), norm="feature", base="silu", dtype=torch.float64)
    ends = [(lambda n, t: n(t) - torch.sin(t), torch.tensor([[0.0], [2.0]], dtype=torch.float64))]
    fk.fit(net, residual=[(equation, T), *ends], starts=1, grids=None)
    with torch.no_grad():
        assert float((net(T) - torch.sin(T)).abs().max()) < 1e-6


def test_norms_need_points_or_a_calibrated_network():
    with pytest.raises(RuntimeError, match="give the points of the domain as X"):
        fk.fit(network(), residual=lambda n: n(T))
    net = network()
    net.calibrate(T)
    fk.fit(net, residual=lambda n: n(T) - T, starts=1)
    with torch.no_grad():
        assert float((net(T) - T).abs().max()) < 1e-8


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"residual": lambda n: n(T), "y": T}, ValueError, "not both"),
        ({"residual": "heat"}, TypeError, "a function fn"),
        ({"residual": []}, ValueError, "empty list"),
        ({"residual": [(lambda n, t: n(t),)]}, TypeError, r"residual\[0\] must be"),
        ({"residual": [(lambda n, t: n(t), T, 0)]}, ValueError, "weight must be above 0"),
        ({"residual": lambda n: 3.0}, TypeError, "must be a tensor"),
        ({"residual": lambda n: n(T) * math.nan}, ValueError, "not finite at any start"),
        ({"residual": lambda n: ELSEWHERE(T) - 1}, ValueError, "does not depend on the net that it is given"),
        ({"residual": lambda n: slope_by_autograd(ELSEWHERE, T) - 1}, ValueError, "does not depend on the net"),
        ({"residual": lambda n: torch.ones(3)}, ValueError, "does not depend on the net"),
        ({"residual": [(lambda n, t: ELSEWHERE(t) - 1, T)]}, ValueError, "does not depend on the net"),
        ({"residual": [(lambda n, t: n(t).square().mean(), T)]}, TypeError, "a row for each of them, unsummed"),
        ({"residual": [(lambda n, t: 3.0, T)]}, TypeError, "it returned one 3.0"),
        ({"residual": lambda n: n(T), "loss": "huber", "delta": 0}, ValueError, "delta must be above 0"),
    ],
    ids=[
        *("both", "text", "empty", "no points", "weight", "number", "nan", "other net", "other net, autograd"),
        *("constant", "other net, rows", "mean of rows", "number of rows", "delta"),
    ],
)
def test_bad_equations_are_named(arguments, kind, message):
    with pytest.raises(kind, match=message):
        fk.fit(network(), T, **arguments)


def two_networks() -> tuple[FlatNet, Tensor, dict[str, Tensor], Tensor]:
    x = torch.rand(30, 2, generator=torch.Generator().manual_seed(seed_of(3)), dtype=torch.float64)
    nets = [fk.KAN([2, 3, 2], norm="feature", base="silu", dtype=torch.float64) for _ in range(2)]
    for net in nets:
        net.calibrate(x)
    flat = FlatNet(nets[0])
    return flat, flat.theta(nets), flat.constants(nets), x


@pytest.mark.parametrize("loss", [Squared(), Huber(0.2), Logistic()], ids=lambda loss: type(loss).__name__)
def test_gradient_and_matrix_of_rows_against_autograd_and_chunks(loss, monkeypatch):
    flat, theta, constants, x = two_networks()
    generator = torch.Generator().manual_seed(seed_of(4))
    targets = torch.rand(30, 2, generator=generator, dtype=torch.float64)
    weights = torch.rand(30, generator=generator, dtype=torch.float64)
    rows = Rows(flat, lambda n, p: n(p), x, targets, weights, loss)
    matrix, gradient = rows.normal(theta, constants)
    value, direct = rows.gradient(theta, constants)
    torch.testing.assert_close(value, rows.value(theta, constants))
    torch.testing.assert_close(gradient, direct, rtol=1e-9, atol=1e-12)
    step = 1e-6 * torch.randn(theta.shape, generator=generator, dtype=torch.float64)
    risen = rows.value(theta + step, constants) - rows.value(theta - step, constants)
    torch.testing.assert_close(risen, 2 * (gradient * step).sum(-1), rtol=1e-5, atol=1e-12)
    monkeypatch.setattr(rows_module, "CHUNK_BYTES", 20_000)
    pieces = rows.normal(theta, constants)
    torch.testing.assert_close(pieces[0], matrix, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(pieces[1], gradient, rtol=1e-9, atol=1e-12)
    assert torch.linalg.eigvalsh(matrix).min() > -1e-10


def test_whole_and_point_by_point_agree():
    flat, theta, constants, x = two_networks()
    zeros, ones = torch.zeros(30, 2, dtype=torch.float64), torch.ones(30, dtype=torch.float64)
    rows = Rows(flat, lambda n, p: n(p), x, zeros, ones, Squared()).normal(theta, constants)
    forward, reverse = (Residual(flat, lambda n: n(x), Squared()) for _ in range(2))
    reverse.forward_mode = False
    for whole in (forward, reverse):
        for got, expected in zip(whole.normal(theta, constants), rows, strict=True):
            torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(forward.gradient(theta, constants)[1], rows[1], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("way", ["whole", "rows"])
def test_a_residual_of_another_network_is_named_by_lbfgs_too(way, monkeypatch):
    monkeypatch.setattr(effort, "MOST_PARAMETERS", 5)
    equation = (lambda n: ELSEWHERE(T)) if way == "whole" else [(lambda n, t: ELSEWHERE(t), T)]
    with pytest.raises(ValueError, match="does not depend on the net"):
        fk.fit(network(), T, residual=equation)


def test_a_residual_that_is_met_from_the_start_passes():
    net = network()
    assert fk.fit(net, T, residual=lambda n: 0 * n(T), starts=1).loss == 0


def test_points_of_different_widths():
    net = fk.KAN([2, 1], basis=fk.Legendre(degree=4, domain=None), norm="feature", dtype=torch.float64)
    inside = torch.rand(40, 2, generator=torch.Generator().manual_seed(seed_of(0)), dtype=torch.float64)
    edge = torch.linspace(0, 1, 9, dtype=torch.float64).unsqueeze(-1)
    equations = [
        (lambda n, p: n(p) - p.sum(-1, keepdim=True), inside),
        (lambda n, s: n(torch.cat([s, 0 * s], 1)) - s, edge),
    ]
    fk.fit(net, residual=equations, starts=1)
    with torch.no_grad():
        assert float((net(inside) - inside.sum(-1, keepdim=True)).abs().max()) < 1e-6
    with pytest.raises(RuntimeError, match="give the points of the domain as X"):
        fk.fit(fk.KAN([2, 1], norm="feature"), residual=equations[1:])
    with pytest.raises(ValueError, match="X has 1 columns, the network has 2 inputs"):
        fk.fit(net, edge, residual=equations)
