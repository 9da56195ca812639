"""The parts of a fit: the optimiser, penalties, the split of rows, scaling of targets, grids."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import fasterkan as fk
from fasterkan.fitting.clock import Clock
from fasterkan.fitting.flat import FlatNet
from fasterkan.fitting.grids import coarsen, refine, resolve_grids
from fasterkan.fitting.last_layer import LastLayer, last_layer
from fasterkan.fitting.lbfgs import minimise_by_gradient
from fasterkan.fitting.levenberg_marquardt import Lanes, minimise
from fasterkan.fitting.losses import Huber, Logistic, Rescaled, Squared
from fasterkan.fitting.norms import HIDDEN_MARGIN, give_room
from fasterkan.fitting.probe import exact_copy, probe_of
from fasterkan.fitting.rows import Rows
from fasterkan.fitting.scaling import TargetScale
from fasterkan.fitting.smoothness import Smoothness
from fasterkan.fitting.sparsity import Sparsity
from fasterkan.fitting.split import split_rows
from fasterkan.fitting.table import Table
from fasterkan.fitting.units import Units, balance, input_sizes, units_of

from ..seeds import seed_of


class Rosenbrock:
    """Residuals (10 (b - a^2), 1 - a), whose valley is bent, and a second lane with a variable nobody sees."""

    def value(self, theta: Tensor, lanes: Tensor) -> Tensor:
        return self.residual(theta).square().sum(-1) / 2

    def residual(self, theta: Tensor) -> Tensor:
        a, b = theta[:, 0], theta[:, 1]
        return torch.stack([10 * (b - a * a), 1 - a], -1)

    def normal(self, theta: Tensor, lanes: Tensor) -> tuple[Tensor, Tensor]:
        jacobian = torch.zeros(len(theta), 2, 3, dtype=theta.dtype)
        jacobian[:, 0, 0], jacobian[:, 0, 1], jacobian[:, 1, 0] = -20 * theta[:, 0], 10, -1
        residual = self.residual(theta)
        return jacobian.mT @ jacobian, (residual.unsqueeze(1) @ jacobian).squeeze(1)


def test_lbfgs_shortens_a_step_that_is_too_long():
    """Newton's unit steps leave the bent valley; without a line search the first of them is the last."""

    def rosenbrock(theta: Tensor) -> tuple[Tensor, Tensor]:
        a, b = theta
        value = 100 * (b - a * a) ** 2 + (1 - a) ** 2
        slope = torch.stack([-400 * a * (b - a * a) - 2 * (1 - a), 200 * (b - a * a)])
        return value.unsqueeze(0), slope.unsqueeze(0)

    start = torch.tensor([-1.2, 1.0], dtype=torch.float64)
    found, _, _ = minimise_by_gradient(
        rosenbrock, start, iterations=100, tolerance=1e-6, floor=1e-9, clock=Clock(), on_step=lambda step, value: None
    )
    # The least curvature at the minimum is 0.399, so a value below 1e-9 is at most sqrt(2e-9 / 0.399) away from it.
    torch.testing.assert_close(found, torch.ones(2, dtype=torch.float64), rtol=0, atol=1e-4)


def run(start: list[list[float]], iterations: int = 100) -> tuple[Lanes, str]:
    objective = Rosenbrock()
    lanes = Lanes.at(torch.tensor(start, dtype=torch.float64), objective)
    why = minimise(
        objective,
        lanes,
        iterations=iterations,
        tolerance=1e-3,
        clock=Clock(),
        on_step=lambda state: None,
    )
    return lanes, why


def test_levenberg_marquardt_follows_a_bent_valley_in_every_lane():
    lanes, why = run([[-1.2, 1.0, 5.0], [3.0, -4.0, 7.0]])
    assert why == "converged" and lanes.iterations < 60
    torch.testing.assert_close(lanes.theta[:, :2], torch.ones(2, 2, dtype=torch.float64), rtol=1e-8, atol=1e-8)
    assert lanes.theta[:, 2].tolist() == [5, 7]


def test_a_lane_goes_its_own_way_whoever_is_beside_it():
    alone, _ = run([[-1.2, 1.0, 0.0]])
    together, _ = run([[-1.2, 1.0, 0.0], [3.0, -4.0, 0.0], [float("nan"), 0.0, 0.0]])
    torch.testing.assert_close(alone.theta[0], together.theta[0], rtol=1e-9, atol=1e-9)
    assert together.value[2] == torch.inf and not together.active.any()


def spline_network() -> fk.KAN:
    generator = torch.Generator().manual_seed(seed_of(0))
    net = fk.KAN([2, 2, 1], basis=fk.BSpline(6), norm="feature", base="silu", dtype=torch.float64, generator=generator)
    net.calibrate(torch.rand(50, 2, generator=generator, dtype=torch.float64))
    return net


@pytest.mark.parametrize("kind", ["smoothness", "sparsity"])
def test_penalties_have_the_slope_they_say(kind):
    net = spline_network()
    flat, lane = FlatNet(net), torch.tensor([0])
    strength = torch.tensor([0.1], dtype=torch.float64)
    penalty = Smoothness(flat, [net], strength) if kind == "smoothness" else Sparsity(flat, [net], 0.1)
    theta = flat.theta([net]).requires_grad_()
    (expected,) = torch.autograd.grad(penalty.value(theta, lane).sum(), theta)
    gradient, matrix = torch.zeros_like(theta), torch.zeros(1, flat.size, flat.size, dtype=torch.float64)
    penalty.add_normal(matrix, gradient, theta.detach(), lane)
    torch.testing.assert_close(gradient, expected, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(matrix @ theta.unsqueeze(-1), gradient.unsqueeze(-1), rtol=1e-9, atol=1e-12)
    assert torch.linalg.eigvalsh(matrix[0]).min() > -1e-9


def test_smoothness_is_the_mean_square_of_the_second_derivative():
    layer = fk.KANLinear(1, 1, fk.BSpline(grid_size=40), norm=None, dtype=torch.float64)
    x = torch.linspace(-1, 1, 400, dtype=torch.float64).unsqueeze(-1)
    fk.fit(layer, x, torch.sin(torch.pi * x), smoothness=0.0, grids=None)
    penalty = Smoothness(FlatNet(layer), [layer], torch.ones(1, dtype=torch.float64))
    value = penalty.value(FlatNet(layer).theta([layer]), torch.tensor([0]))
    assert value.item() == pytest.approx(torch.pi**4 / 4, rel=1e-2)


@pytest.mark.parametrize("penalty", [Smoothness, Sparsity])
def test_penalties_go_on_with_the_networks_that_are_kept(penalty):
    nets = [fk.KAN([2, 1], fk.RSWAF(4, grid_range=(-1, end)), norm=None, dtype=torch.float64) for end in (1, 2, 5)]
    flat = FlatNet(nets[0])
    theta = flat.theta(nets)
    strength = torch.tensor([1.0, 3.0, 10.0], dtype=torch.float64) if penalty is Smoothness else 2.0
    whole, part = penalty(flat, nets, strength), penalty(flat, nets, strength)
    kept = torch.tensor([0, 2])
    part.keep(kept)
    first = torch.tensor([0, 1])
    torch.testing.assert_close(part.value(theta[kept], first), whole.value(theta[kept], kept), rtol=1e-14, atol=0)
    shape = (2, flat.size)
    found, expected = ((torch.zeros(*shape, flat.size).double(), torch.zeros(shape).double()) for _ in range(2))
    part.add_normal(*found, theta[kept], first)
    whole.add_normal(*expected, theta[kept], kept)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-14, atol=0)
        assert other[1].abs().sum() > 0 and not torch.equal(other[0], other[1])


def test_norms_of_hidden_layers_leave_room_and_the_first_keeps_its_own(monkeypatch):
    net = fk.KAN([2, 3, 3, 1], fk.BSpline(), norm=fk.FeatureNorm(margin=0.01))
    give_room(net)
    assert [layer.norm.description.margin for layer in net.kan_layers()] == [0.01, HIDDEN_MARGIN, HIDDEN_MARGIN]
    wide = fk.KAN([2, 3, 1], fk.BSpline(), norm=fk.FeatureNorm(margin=0.5))
    give_room(wide)
    assert [layer.norm.description.margin for layer in wide.kan_layers()] == [0.5, 0.5]
    x, roomy = torch.rand(50, 2, dtype=torch.float64), []
    monkeypatch.setattr("fasterkan.fitting.search.give_room", lambda net: roomy.append(net) or give_room(net))
    fk.fit(fk.KAN([2, 3, 1], fk.BSpline(), norm="feature"), x, x.prod(1), starts=3, iterations=2, grids=None)
    assert len(roomy) == 3, "each start"


def table(rows: int, distinct: int) -> Table:
    x = (torch.arange(rows) * distinct // rows).double().unsqueeze(-1)
    return Table(x, x.clone(), torch.ones(rows, dtype=torch.float64))


def test_equal_rows_stay_together_and_the_seed_decides():
    kept, out = split_rows(table(100, 20), 0.25, 0)
    assert len(out) == 25 and not set((kept // 5).tolist()) & set((out // 5).tolist())
    assert sorted([*kept.tolist(), *out.tolist()]) == list(range(100))
    assert torch.equal(split_rows(table(100, 20), 0.25, 0)[1], out)
    assert not torch.equal(split_rows(table(100, 20), 0.25, 1)[1], out)


@pytest.mark.parametrize(("rows", "distinct", "fraction"), [(3, 3, 0.2), (100, 9, 0.2), (100, 100, 0.0)])
def test_tiny_tables_hold_out_nothing(rows, distinct, fraction):
    kept, out = split_rows(table(rows, distinct), fraction, 0)
    assert len(kept) == rows and len(out) == 0


@pytest.mark.parametrize("size", [1e-200, 1e-9, 1.0, 1e9, 1e200])
def test_targets_come_back_as_they_were(size):
    y = size * (3 + torch.randn(50, 2, generator=torch.Generator().manual_seed(seed_of(0)), dtype=torch.float64))
    rows = Table(torch.ones(50, 1, dtype=torch.float64), y, torch.ones(50, dtype=torch.float64))
    net = fk.KANLinear(1, 2, norm=None, base="silu", dtype=torch.float64)
    scale = TargetScale.of(LastLayer("", True), True, rows, Squared())
    inside = scale.inside(rows).y
    assert inside.mean().abs() < 1e-9 and 0.5 < inside.std() < 2
    before = exact_copy(net)
    scale.unfold(net)
    scale.fold(net)
    for a, b in zip(before.parameters(), net.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12 if size >= 1 else 1e-9)


def test_without_a_known_last_layer_the_loss_is_scaled():
    rows = table(20, 20)
    scale = TargetScale.of(None, False, rows, Squared())
    assert scale.mean.tolist() == [0] and scale.inside(rows) is rows and scale.scale.item() in (4, 8)  # sd 5.77
    assert 0.125 < float(scale.loss.value(rows.y.mean(0).expand_as(rows.y), rows.y).mean()) < 2
    assert scale.unit([0.5]) == pytest.approx(scale.scale.item())


@pytest.mark.parametrize("size", [1e-30, 1.0, 1e30])
def test_own_losses_get_the_size_of_their_values(size):
    class Own(Squared):
        """A loss of which only the two methods are known."""

    rows = table(20, 20)
    rows = Table(rows.x, size * rows.y, rows.weights)
    scale = TargetScale.of(LastLayer("", True), True, rows, Own())
    zero = torch.zeros_like(rows.y)
    assert not scale.folds and float(2 * scale.loss.value(zero, rows.y).mean()) == pytest.approx(1)
    assert scale.unit([0.5]) == pytest.approx(size * float(torch.arange(20).double().square().mean().sqrt()))
    assert 0.7 < scale.scale.item() / scale.unit([0.5]) < 1.5


def test_rescaled_loss_is_the_loss_of_scaled_numbers():
    generator = torch.Generator().manual_seed(seed_of(0))
    output, target = torch.randn(2, 9, 2, generator=generator, dtype=torch.float64)
    scale = torch.tensor([4.0, 0.5], dtype=torch.float64)
    loss = Rescaled(Huber(0.3), scale, 3.0)
    torch.testing.assert_close(loss.value(output, target), 3 * Huber(0.3).value(output / scale, target / scale))
    output.requires_grad_()
    (expected,) = torch.autograd.grad(loss.value(output, target).sum(), output)
    slope, curvature = loss.slope_and_curvature(output.detach(), target)
    torch.testing.assert_close(slope, expected)
    inner = Huber(0.3).slope_and_curvature(output.detach() / scale, target / scale)[1]
    torch.testing.assert_close(curvature, 3 * inner / scale**2)


@pytest.mark.parametrize(("offset", "spread"), [(1e15, 100.0), (1e12, 1.0), (-1e9, 1e-3), (0.0, 1e-30)])
def test_targets_of_large_offset_keep_their_spread(offset, spread):
    y = offset + spread * torch.linspace(-1, 1, 201, dtype=torch.float64).unsqueeze(1)
    rows = Table(torch.ones(201, 1, dtype=torch.float64), y, torch.ones(201, dtype=torch.float64))
    inside = TargetScale.of(LastLayer("", True), True, rows, Squared()).inside(rows).y
    assert 0.6 < inside.std() < 1.5 and inside.mean().abs() < 1e-2


@pytest.mark.parametrize(
    ("basis", "grids", "expected"),
    [
        (fk.BSpline(20), "auto", (5, 10, 20)),
        (fk.BSpline(5), "auto", (5,)),
        (fk.RSWAF(8), "auto", (4, 8)),
        (fk.Legendre(degree=12), "auto", (3, 6, 12)),
        (fk.BSpline(knots=(-1.0, 0.3, 1.0)), "auto", (None,)),
        (fk.BSpline(5), None, (None,)),
        (fk.BSpline(5), (3, 10, 50), (3, 10, 50)),
    ],
    ids=["spline 20", "spline 5", "rswaf 8", "legendre 12", "free knots", "none", "given"],
)
def test_grids(basis, grids, expected):
    assert resolve_grids(fk.KAN([2, 1], basis=basis, norm=None), grids) == expected


SIZES = torch.tensor([1.0, 8.0, 2.0**-30, 0.0, 2.0**90], dtype=torch.float64)
COLUMNS = torch.linspace(-1, 1, 101, dtype=torch.float64).unsqueeze(1) * SIZES


def scale_for(probe: nn.Module, x: Tensor, y: Tensor) -> TargetScale:
    last = last_layer(probe, x, input_sizes(probe, x))
    return TargetScale.of(last, True, Table(x, y, torch.ones_like(x[:, 0])), Squared())


@pytest.mark.parametrize(
    ("base", "sizes"),
    [
        ("identity", [1.0, 8.0, 2.0**-30, 1.0, 2.0**90]),
        ("tanh", [1.0, 2.0, 2.0**-30, 1.0, 2.0]),  # tanh(8 x) is 1 nearly everywhere, and 1.9 times as large as tanh(x)
    ],
)
def test_sizes_are_those_of_the_base_branch(base, sizes):
    net = fk.KAN([5, 2, 1], norm="feature", base=base, base_input="x", dtype=torch.float64)
    found = input_sizes(*probe_of(net, COLUMNS))
    assert list(found) == ["layers.0.base_weight"] and found["layers.0.base_weight"].tolist() == sizes
    before = [layer.base_weight.clone() for layer in net.kan_layers()]
    balance(net, Units(sizes=found))
    torch.testing.assert_close(before[0] / net.layers[0].base_weight, torch.tensor(sizes).double().expand(2, 5))
    assert torch.equal(net.layers[1].base_weight, before[1])
    nn.init.ones_(net.layers[0].base_weight).requires_grad_(False)
    balance(net, Units(sizes=found))
    assert bool((net.layers[0].base_weight == 1).all())


def test_columns_are_found_within_other_modules_and_only_there():
    class Halves(nn.Module):
        """Two layers, each for some of the columns, and one that gets other numbers."""

        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.three = nn.Linear(3, 1), nn.Linear(2, 1), nn.Linear(2, 1)
            self.kan = fk.KAN([3, 1], norm="feature", base="silu", base_input="z")

        def forward(self, x: Tensor) -> Tensor:
            return self.one(x[:, :3]) + self.two(x[:, 3:]) + self.three(3 * x[:, 3:]) + self.kan(x[:, :3])

    found = input_sizes(*probe_of(Halves(), COLUMNS))
    assert {name: size.tolist() for name, size in found.items()} == {
        "one.weight": [1.0, 8.0, 2.0**-30], "two.weight": [1.0, 2.0**90],
    }  # fmt: skip


def test_branches_of_which_little_is_left_get_the_size_of_their_column():
    x = -torch.linspace(100, 200, 50, dtype=torch.float64).unsqueeze(1)
    for base in ("relu", "silu"):
        net = fk.KAN([1, 1], norm="feature", base=base, base_input="x", dtype=torch.float64)
        assert input_sizes(*probe_of(net, x))["layers.0.base_weight"].tolist() == [256]


@pytest.mark.parametrize("base", ["identity", "silu", "tanh"])
def test_scaled_branches_have_size_1_unless_other_data_has_set_their_scales(base):
    net = fk.KAN([5, 2, 1], norm="feature", base=base, dtype=torch.float64)
    assert input_sizes(*probe_of(net, COLUMNS))["layers.0.base_weight"].tolist() == [1.0] * 5
    net.calibrate(COLUMNS)
    found = input_sizes(*probe_of(net, 2.0**40 * COLUMNS))["layers.0.base_weight"].tolist()
    assert found == [2.0 if base == "tanh" else 2.0**40] * 3 + found[3:4] + [found[0]]


def test_units_put_numbers_of_any_size_into_theta():
    net = fk.KAN([5, 2, 1], norm="feature", base="identity", base_input="x", dtype=torch.float64)
    probe, few = probe_of(net, COLUMNS)
    scale = scale_for(probe, few, 1e30 * few[:, :1])
    sizes = input_sizes(probe, few)
    flat = FlatNet(probe, units_of(net, sizes, scale, torch.float32))
    balance(probe, flat.units)
    theta = flat.theta([probe])
    named = flat.unflatten(theta[0])
    assert all(torch.equal(named[name], p) for name, p in probe.named_parameters())
    start = flat.start_of("layers.0.base_weight")
    expected = probe.layers[0].base_weight * sizes["layers.0.base_weight"]
    assert torch.equal(theta[0, start : start + 10], expected.reshape(-1))
    last = flat.start_of("layers.1.weight")
    ends = flat.largest[last], flat.largest[flat.start_of("layers.0.weight")]
    assert ends[0] < torch.finfo(torch.float32).max / 1e30 < 1e18 == ends[1]


@pytest.mark.parametrize(("column", "size"), [(1e30, 1e-30), (1e-30, 1e30)], ids=["too small", "too large"])
def test_base_weights_that_float32_cannot_hold_stay_0(column, size):
    net = fk.KAN([1, 1], norm="feature", base="silu", base_input="x")
    x = column * COLUMNS[:, :1]
    probe, few = probe_of(net, x)
    scale = scale_for(probe, few, size * COLUMNS[:, :1])
    flat = FlatNet(probe, units_of(net, input_sizes(probe, few), scale, torch.float32))
    theta = flat.theta([probe])
    assert theta[0, flat.start_of("layers.0.base_weight")] == 0 != theta.abs().max()
    assert flat.unflatten(theta[0] + 1)["layers.0.base_weight"].item() == 0
    exact = FlatNet(probe, units_of(net, input_sizes(probe, few), scale, torch.float64))
    assert exact.unflatten(theta[0] + 1)["layers.0.base_weight"].item() != 0


def test_coarser_and_finer_again():
    net = spline_network()
    coarsen(net, 3)
    assert net.basis.grid_size == 3 == net.layers[1].basis.grid_size and net.layers[0].weight.shape == (2, 2, 6)
    net.layers[0].reset_parameters(torch.Generator().manual_seed(seed_of(1)))
    x = 0.2 + 0.6 * torch.rand(20, 2, dtype=torch.float64)  # within the grids
    before = net.eval()(x)
    refine(net, 12)
    assert net.basis.grid_size == 12
    torch.testing.assert_close(net(x), before, rtol=1e-8, atol=1e-8)


def test_losses_are_values():
    assert Logistic() == Logistic() and Squared() == Squared() and Huber(0.5) == Huber(0.5) != Huber(1.0)
    assert repr(Logistic()) == "Logistic()"


def test_a_function_of_one_number_a_row_is_compared_with_its_targets():
    net, x = fk.KAN([2, 1], norm=None, dtype=torch.float64), torch.rand(6, 2, dtype=torch.float64)
    y, ones = torch.rand(6, 1, dtype=torch.float64), torch.ones(6, dtype=torch.float64)
    flat = FlatNet(net)
    theta, constants = flat.theta([net]), flat.constants([net])
    for function in (lambda net, x: net(x), lambda net, x: net(x).squeeze(1)):
        rows = Rows(flat, function, x, y, ones, Squared())
        expected = (net(x) - y).square().mean() / 2
        torch.testing.assert_close(rows.value(theta, constants), expected.detach().reshape(1))
        matrix, gradient = rows.normal(theta, constants)
        slope = torch.autograd.grad(expected, list(net.parameters()), retain_graph=True)
        torch.testing.assert_close(gradient[0], torch.cat([g.reshape(-1) for g in slope]))
        assert matrix.shape == (1, flat.size, flat.size)


def test_sparsity_without_the_branch_that_is_not_learned():
    net = fk.KAN([2, 1], fk.Hat(4), norm=None, base="silu", dtype=torch.float64)
    net.layers[0].base_weight.requires_grad_(False)
    flat = FlatNet(net)
    value = Sparsity(flat, [net], 1.0).value(flat.theta([net]), torch.tensor([0]))
    t = torch.linspace(*net.basis.grid_range, 257, dtype=torch.float64).unsqueeze(-1).expand(-1, 2)
    phi = net.basis.evaluate(t, net.layers[0].basis_tensors())
    sizes = torch.einsum("tik,oik->toi", phi, net.layers[0].weight.detach()).var(0, correction=0)
    expected = ((sizes + 1e-8).sqrt() - 1e-4).sum()
    torch.testing.assert_close(value, expected.reshape(1))
