"""What a fit leaves as it was: frozen layers, buffers that are no feature norms, modules with forwards of their own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import fasterkan as fk
from fasterkan.fitting.candidates import draw
from fasterkan.fitting.last_layer import LastLayer, last_layer
from fasterkan.fitting.probe import probe_of

from ..seeds import seed_of

X = 2 * torch.rand(200, 2, generator=torch.Generator().manual_seed(seed_of(0)), dtype=torch.float64) - 1
Y = X[:, 0] * X[:, 1]


def network(widths: tuple[int, ...] = (2, 2, 1), **options: object) -> fk.KAN:
    generator = torch.Generator().manual_seed(seed_of(0))
    settings = {"basis": fk.BSpline(grid_size=6), "norm": "feature", "base": "silu", "dtype": torch.float64}
    return fk.KAN(list(widths), **{**settings, "generator": generator, **options})


def rmse(net: nn.Module, x: Tensor, y: Tensor) -> float:
    with torch.no_grad():
        return float((net.eval()(x) - y.reshape(len(x), -1)).square().mean().sqrt())


@pytest.mark.parametrize("frozen", [0, 1], ids=["first", "last"])
@pytest.mark.parametrize("calibrated_on", [1.0, 3.0], ids=["its data", "other data"])
def test_frozen_layer_of_a_network(frozen, calibrated_on):
    net = network()
    net.calibrate(calibrated_on * X)
    layer = net.layers[frozen].requires_grad_(False)
    before = {name: t.clone() for name, t in layer.state_dict().items() if name != "norm.status"}
    result = fk.fit(net, X, 50 * Y, starts=2, iterations=8, grids=(3, 6, 12))
    after = layer.state_dict()
    assert all(torch.equal(t, after[name]) for name, t in before.items())
    assert layer.basis.grid_size == 6 and net.layers[1 - frozen].basis.grid_size == result.grid
    assert not any(p.requires_grad for p in layer.parameters())
    assert result.loss == pytest.approx(rmse(net, X, 50 * Y), rel=1e-6)


def test_frozen_weight_of_which_the_norm_is_new():
    net = network()
    weight = net.layers[0].weight.requires_grad_(False).clone()
    result = fk.fit(net, X, Y, starts=2, iterations=8)
    assert torch.equal(net.layers[0].weight, weight) and net.layers[0].norm.frozen
    assert result.loss == pytest.approx(rmse(net, X, Y), rel=1e-6)


def test_frozen_module_and_batchnorm_before_the_network():
    front, norm = nn.Linear(2, 3).double().requires_grad_(False), nn.BatchNorm1d(3).double()
    norm.running_mean.fill_(5.0)
    before = [front.weight.clone(), front.bias.clone()]
    fk.fit(nn.Sequential(front, norm, network((3, 1))), X, Y, starts=2, iterations=5)
    assert torch.equal(front.weight, before[0]) and torch.equal(front.bias, before[1])
    assert norm.running_mean.tolist() == [5, 5, 5] and norm.running_var.tolist() == [1, 1, 1]


def test_draw_changes_what_is_learned_only():
    net = network()
    net.calibrate(X)
    net.layers[0].base_weight.requires_grad_(False)
    before = {name: t.clone() for name, t in net.state_dict().items()}
    draw(net, 0, 1, norms=False)
    changed = {name for name, t in net.state_dict().items() if not torch.equal(t, before[name])}
    assert changed == {"layers.0.weight", "layers.1.weight", "layers.1.base_weight"}


def test_frozen_grid_of_a_learned_layer_keeps_its_count():
    net = network(basis=fk.RSWAF(num_grids=6, train_grid=True))
    grid = net.layers[0].grid.requires_grad_(False).clone()
    result = fk.fit(net, X, Y, starts=2, iterations=5, grids=(3, 6))
    assert torch.equal(net.layers[0].grid, grid) and not net.layers[0].grid.requires_grad
    assert result.loss == pytest.approx(rmse(net, X, Y), rel=1e-6)


class Residual(fk.KAN):
    """x_1 added."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + x[..., :1]


class Exponential(fk.KANLinear):
    """exp of a layer."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).exp()


class Within(nn.Module):
    """A network as a part of another module."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)


class Clamped(Within):
    """Outputs with a limit."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).clamp(-1e6, 1e6)


class Shifted(Within):
    """Learned factors and a learned shift after a network."""

    def __init__(self, inner: nn.Module, shift: bool = True) -> None:
        super().__init__(inner)
        self.factor, self.shift = nn.Parameter(torch.ones(1)), nn.Parameter(torch.zeros(1)) if shift else 0.0

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * self.factor + self.shift


def found(net: nn.Module) -> LastLayer | None:
    return last_layer(*probe_of(net, X), {})


SETTINGS = {"basis": fk.BSpline(6), "norm": "feature", "dtype": torch.float64}


@pytest.mark.parametrize(
    ("net", "expected"),
    [
        (network(), LastLayer("layers.1", True)),
        (fk.KANLinear(2, 1, **SETTINGS), LastLayer("", True)),
        (nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2)), LastLayer("2", True)),
        (Within(Within(network())), LastLayer("inner.inner.layers.1", True)),
        (Residual([2, 2, 1], **SETTINGS), LastLayer("layers.1", False)),
        (Exponential(2, 1, **SETTINGS), None),
        (Clamped(network()), None),
        (Shifted(network()), None),
        (Shifted(network(), shift=False), None),
        (nn.Sequential(network((2, 3)), nn.Tanh()), None),
    ],
    ids=[
        *("KAN", "KANLinear", "MLP", "within", "x added", "exp", "clamp", "learned factor and shift", "learned factor"),
        "tanh",
    ],
)
def test_the_last_layer_is_found_by_trial(net, expected):
    before = [p.clone() for p in net.parameters()]
    assert found(net) == expected
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))


def test_a_frozen_last_layer_is_not_scaled():
    net = network()
    net.layers[1].bias.requires_grad_(False)
    assert found(net) is None


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_a_network_within_a_module_is_scaled(size):
    net = Within(network())
    fk.fit(net, X, size * Y, starts=2, iterations=8)
    assert rmse(net, X, size * Y) < 0.05 * size


@pytest.mark.parametrize(
    "net",
    [
        Residual([2, 2, 1], fk.BSpline(6), norm="feature", dtype=torch.float64),
        Exponential(2, 1, fk.BSpline(6), norm="feature", dtype=torch.float64),
        nn.Sequential(network((2, 2)), Residual([2, 1], fk.BSpline(6), norm="feature", dtype=torch.float64)),
    ],
    ids=["network", "layer", "within a sequence"],
)
def test_forwards_of_their_own_are_fitted_unscaled(net):
    y = torch.exp(Y + 3)
    assert found(net) != LastLayer("", True)
    result = fk.fit(net, X, y, starts=2, iterations=8)
    assert result.loss == pytest.approx(rmse(net, X, y), rel=1e-6) and result.loss < y.std()


def test_a_layer_that_serves_twice_is_not_scaled():
    shared = nn.Linear(2, 2).double()
    net = nn.Sequential(shared, nn.Tanh(), shared)
    y = 100 + X
    assert found(net) is None and found(nn.Sequential(nn.Tanh(), shared)) == LastLayer("1", True)
    assert fk.fit(net, X, y, starts=2, iterations=8).loss == pytest.approx(rmse(net, X, y), rel=1e-6)


def test_the_network_within_a_sequence_says_what_its_grid_is():
    net = nn.Sequential(network())
    result = fk.fit(net, X, torch.sin(6 * Y), starts=2, iterations=5, grids=(3, 12))
    assert net[0].basis == net[0].layers[0].basis and net[0].basis.grid_size == result.grid


def test_frozen_base_weights_get_scales_from_the_first_data_only() -> None:
    x = torch.rand(60, 2, dtype=torch.float64) * torch.tensor([1.0, 1e5], dtype=torch.float64)
    for seen in (None, 3 * x):
        net = fk.KAN([2, 2, 1], fk.BSpline(4), norm="feature", base="silu", dtype=torch.float64)
        for layer in net.kan_layers():
            layer.base_weight.requires_grad_(False)
        if seen is not None:
            net.calibrate(seen)
        fk.fit(net, x, x[:, 0], starts=1, iterations=2, progress=False)
        expected = (x if seen is None else seen).mean(0)
        torch.testing.assert_close(net.layers[0].base_norm.center, expected, rtol=1e-2, atol=0)
