"""fk.fit on tables: how well, how it stops, what it leaves of the network, and what it says of bad input."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import fasterkan as fk
from fasterkan.fitting import FitObserver, Huber, Logistic, Squared, effort, race

from ..seeds import seed_of


def points(rows: int = 300, columns: int = 2, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed_of(seed))
    return torch.rand(rows, columns, generator=generator, dtype=torch.float64) * 2 - 1


def network(widths: tuple[int, ...] = (2, 2, 1), **options: object) -> fk.KAN:
    settings = {"basis": fk.BSpline(grid_size=6, outside="linear"), "norm": "feature", "base": "silu"}
    generator = torch.Generator().manual_seed(seed_of(0))
    return fk.KAN(list(widths), **{**settings, "dtype": torch.float64, "generator": generator, **options})


def rmse(net: nn.Module, x: Tensor, y: Tensor) -> float:
    with torch.no_grad():
        return float((net(x) - y.reshape(len(x), -1)).square().mean().sqrt())


X = points()
PRODUCT = X[:, 0] * X[:, 1]


@pytest.mark.parametrize("smoothness", ["auto", 1e-10])
def test_product_is_fitted_and_holds_on_new_points(smoothness):
    """xy = ((x + y)^2 - (x - y)^2) / 4, and the parabolas are splines; only the smoothness keeps a fit from xy itself.

    |x + y| <= 2 and the norm's margin of 0.2 make them (2.4 t)^2 / 4 with f'' = 2.88, so xy costs as much as a loss of
    2.88 sqrt(2 smoothness), and the best network does not cost more. The search tries less smoothness than 1e-10 too.
    """
    line = torch.linspace(-1, 1, 18, dtype=torch.float64)
    x = torch.cartesian_prod(line, line)  # with its corners: at new points nothing is extrapolated
    net, y, new = network(), x.prod(1), points(seed=1)
    result = fk.fit(net, x, y, smoothness=smoothness)
    bound = 2.88 * math.sqrt(2e-10)
    assert result.net is net and result.loss < bound
    assert rmse(net, new, new.prod(1)) < bound
    assert rmse(net, x, y) == pytest.approx(result.loss, rel=1e-6)
    assert smoothness != "auto" or result.held_out < bound


def test_result_tells_phases_and_why_it_stopped():
    result = fk.fit(network(), X, PRODUCT, iterations=10)
    assert [p.name for p in result.phases] == ["starts", "smoothness", "grid", "polish"]
    assert [p.grid for p in result.phases] == [3, 3, 6, result.grid]
    assert sorted(a.start for a in result.phases[0].attempts) == list(range(8))
    assert result.stopped in ("iterations", "held-out error stopped falling")
    assert all(p.iterations <= 10 for p in result.phases) and not result.cut_by_clock
    assert result.stopped in str(result) and "starts 3" in str(result)


def test_same_seed_same_network_and_no_global_random_state():
    first, second, other = network(), network(), network()
    state = torch.get_rng_state()
    fk.fit(first, X, PRODUCT, iterations=5)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(seed_of(99))
    fk.fit(second, X, PRODUCT, iterations=5)
    fk.fit(other, X, PRODUCT, iterations=5, seed=1)
    same = [torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True)]
    assert all(same)
    assert rmse(first, X, PRODUCT) != rmse(other, X, PRODUCT)


def test_network_keeps_dtype_mode_and_shape_and_its_norms_are_frozen():
    net = network(dtype=torch.float32).eval()
    result = fk.fit(net, X.float(), PRODUCT.float(), grids=None, iterations=20)
    assert {p.dtype for p in net.parameters()} == {torch.float32} and not net.training
    assert net.basis.grid_size == 6 == result.grid
    assert all(layer.norm.frozen for layer in net.kan_layers())
    assert rmse(net, X.float(), PRODUCT.float()) < 1e-3


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
@pytest.mark.parametrize("shift", [0.0, 1e3])
def test_sizes_of_x_and_y_do_not_matter(scale, shift):
    y = scale * (PRODUCT + shift)
    net = network(base=None)
    fk.fit(net, X * scale, y, iterations=20, starts=3)
    assert rmse(net, X * scale, y) < 1e-3 * scale


def test_float32_network_of_large_targets():
    net = network(dtype=torch.float32)
    fk.fit(net, X, 1e9 * PRODUCT, iterations=20, starts=3)
    assert rmse(net, X.float(), (1e9 * PRODUCT).float()) < 1e6


def test_no_start_from_scratch_goes_on_from_the_weights():
    net = network()
    fk.fit(net, X, 5 * PRODUCT + 3, iterations=20, starts=3)
    before = rmse(net, X, 5 * PRODUCT + 3)
    result = fk.fit(net, X, 5 * PRODUCT + 3, starts=0, iterations=3)
    assert result.phases[0].attempts[0].loss < 1.2 * before and rmse(net, X, 5 * PRODUCT + 3) < 1.2 * before


def test_masked_edges_stay_off():
    net = network((2, 3, 1))
    mask = torch.tensor([[True, False], [True, True], [False, True]])
    net.layers[0].set_mask(mask)
    fk.fit(net, X, PRODUCT, starts=0, iterations=10)
    assert torch.equal(net.layers[0].mask, mask) and math.isfinite(rmse(net, X, PRODUCT))


def test_several_outputs():
    y = torch.stack([PRODUCT, 1e6 * X.sum(1)], 1)
    net = network((2, 4, 2))
    result = fk.fit(net, X, y, iterations=40)
    with torch.no_grad():
        error = (net(X) - y).square().mean(0).sqrt()
    assert error[0] < 1e-2 and error[1] < 1e4
    assert result.loss == pytest.approx(float(error.square().mean().sqrt()), rel=1e-6)


def test_loss_of_several_outputs_is_their_rmse_together():
    y = torch.stack([PRODUCT, 1e3 * X[:, 0].square()], 1)
    net = network((2, 1, 2))
    result = fk.fit(net, X, y, iterations=5, starts=2, held_out=0.0, smoothness=1e-3)
    assert result.loss == pytest.approx(rmse(net, X, y), rel=1e-6)


def test_noise_is_smoothed_away():
    x = points(400, 1)
    clean = torch.sin(3 * x[:, 0])
    noise = torch.randn(400, generator=torch.Generator().manual_seed(seed_of(2)), dtype=torch.float64)
    net, free = (fk.KANLinear(1, 1, fk.BSpline(grid_size=48), norm="feature", dtype=torch.float64) for _ in range(2))
    result = fk.fit(net, x, clean + 0.3 * noise)
    fk.fit(free, x, clean + 0.3 * noise, smoothness=0.0, grids=None)
    # n functions let through 0.3 times the root of n / 400, a part in the root of 2 n more or less: 15 of them half of
    # what 51 do, each draw counted by its own noise.
    assert rmse(net, x, clean) < 0.85 * rmse(free, x, clean) < 0.85 * 0.15
    assert result.held_out == pytest.approx(0.3, rel=0.3)


def test_huber_ignores_outliers_and_squared_does_not():
    y = PRODUCT.clone()
    y[::20] += 30
    good = torch.ones(len(y), dtype=torch.bool)
    good[::20] = False
    errors = {}
    for loss in ("huber", "squared"):
        net = network()
        fk.fit(net, X, y, loss=loss, delta=0.01 if loss == "huber" else None, iterations=30, starts=3)
        errors[loss] = rmse(net, X[good], y[good])
    assert errors["huber"] < 0.05 < 0.3 < errors["squared"]


def test_logistic_finds_the_border():
    y = (PRODUCT > 0).double()
    net = network()
    fk.fit(net, X, y, loss="logistic", iterations=30, starts=3)
    new = points(seed=3)
    right = (net(new)[:, 0] > 0) == (new[:, 0] * new[:, 1] > 0)
    assert right.double().mean() > 0.95
    assert all(torch.isfinite(p).all() for p in net.parameters())


@pytest.mark.parametrize("wrong", [1e3, 1e30, math.nan], ids=["1e3", "1e30", "nan"])
def test_rows_of_weight_zero_might_as_well_not_be_there(wrong):
    x, y, weights = X.clone(), PRODUCT.clone(), torch.ones(len(X), dtype=torch.float64)
    x[::3], y[::3], weights[::3] = wrong, wrong, 0
    net, alone = network(), network()
    result = fk.fit(net, x, y, weights=weights, iterations=10, starts=2)
    assert fk.fit(alone, X[weights > 0], PRODUCT[weights > 0], iterations=10, starts=2).loss == result.loss
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), alone.parameters(), strict=True))


def test_rows_that_count_keep_their_numbers_in_messages():
    weights = torch.ones(300)
    weights[:5] = 0
    with pytest.raises(ValueError, match="X is nan in row 17, column 1"):
        fk.fit(network(), bad(math.nan), PRODUCT, weights=weights)


def test_sizes_of_x_hardly_matter_to_a_base_branch():
    """A scaled branch has the same task at all sizes. silu(x) is relu at 1e9 and x / 2 at 1e-9: other tasks."""
    scales = ((1.0, 1.0), (1e9, 1e-9), (1e-30, 1e3))
    scaled, plain = (
        [fk.fit(network(base_input=each), torch.tensor(s) * X, PRODUCT, iterations=30, starts=3).loss for s in scales]
        for each in ("scaled", "x")
    )
    assert scaled == pytest.approx(scaled[:1] * len(scales), rel=1e-3)
    assert max(plain) < 20 * scaled[0] < 1e-2 * float(PRODUCT.std())


def test_sparsity_switches_an_input_off():
    x = points(300, 3)
    net = network((3, 1))
    fk.fit(net, x, torch.sin(2 * x[:, 0]), sparsity=1e-3, smoothness=1e-6, starts=1, iterations=60)
    effect = (net(x) - net(x * torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64))).abs().max()
    assert effect < 2e-3 and rmse(net, x, torch.sin(2 * x[:, 0])) < 0.05


def test_one_value_of_y_gives_that_constant():
    net = network()
    result = fk.fit(net, X, torch.full((300,), 7.0), iterations=10)
    assert rmse(net, X, torch.full((300,), 7.0)) < 1e-9 and result.stopped == "converged"


def test_fewer_rows_than_parameters_and_three_rows():
    for rows in (3, 30):
        net = network()
        result = fk.fit(net, X[:rows], PRODUCT[:rows], iterations=15)
        assert math.isfinite(rmse(net, X, PRODUCT)) and result.loss < 0.1
        assert (result.held_out is None) == (rows == 3)


def test_layer_norm_network_and_any_module_whose_rows_stand_alone():
    x = points(200, 4)
    y = torch.sin(2 * (x - x.mean(1, keepdim=True))[:, 0] / x.std(1))  # LayerNorm leaves nothing else of x
    for net in (
        fk.KAN([4, 6, 1], norm="layer", dtype=torch.float64),
        nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1)),
        fk.KANLinear(4, 1, norm="rms"),
    ):
        fk.fit(net, x, y, iterations=15, starts=2)
        assert rmse(net.double(), x, y) < 0.6 * y.std()


def test_above_its_limit_lbfgs_takes_over(monkeypatch):
    used = []
    for name in ("minimise", "minimise_by_gradient"):
        own = getattr(race, name)
        monkeypatch.setattr(race, name, lambda *a, own=own, name=name, **k: used.append(name) or own(*a, **k))
    monkeypatch.setattr(effort, "MOST_PARAMETERS", 10)
    net, y = network((2, 1)), torch.sin(2 * X[:, 0]) + X[:, 1].square()  # one layer: no start ends in a worse minimum
    result = fk.fit(net, X, y, starts=1, grids=None, iterations=100, smoothness=0.0)
    assert rmse(net, X, y) < 0.02 and result.loss == pytest.approx(rmse(net, X, y), rel=1e-6)
    assert set(used) == {"minimise_by_gradient"}
    monkeypatch.setattr(effort, "MOST_PARAMETERS", 3000)
    used.clear()
    fk.fit(network(), X, PRODUCT, starts=1, grids=None, iterations=3)
    assert set(used) == {"minimise"}


def test_grids_stop_where_two_finer_ones_bring_nothing():
    generator = torch.Generator().manual_seed(seed_of(5))
    x = torch.rand(150, 1, dtype=torch.float64, generator=generator) * 2 - 1
    y = x.squeeze(1) + 0.3 * torch.randn(150, dtype=torch.float64, generator=generator)  # a straight line and noise
    net = fk.KAN([1, 1], fk.BSpline(grid_size=3), norm="feature", dtype=torch.float64)
    result = fk.fit(net, x, y, starts=1, grids=(3, 6, 12, 24, 48), smoothness=1e-12, iterations=10)
    tried = [phase.grid for phase in result.phases if phase.name == "grid"]
    assert result.stopped == "held-out error stopped falling"
    assert len(tried) < 4 and result.grid == [3, *tried][-3]  # by luck, one finer grid may follow the held-out noise


def test_the_clock_cuts_and_says_so():
    net = network()
    result = fk.fit(net, X, PRODUCT, seconds=1e-6)
    assert result.stopped == "time" and result.cut_by_clock and all(torch.isfinite(p).all() for p in net.parameters())


def test_grids_beyond_the_networks_own():
    net = network(basis=fk.BSpline(grid_size=2, degree=3))
    result = fk.fit(net, X, torch.sin(6 * X[:, 0]) + X[:, 1], grids=(2, 8, 16), iterations=20)
    assert result.grid in (8, 16) and net.basis.grid_size == result.grid == net.layers[0].basis.grid_size
    again = fk.KAN.from_config(net.to_config(), dtype=torch.float64)
    again.load_state_dict(net.state_dict())
    assert torch.equal(again.eval()(X), net.eval()(X))


def test_the_best_of_all_attempts_is_kept():
    generator = torch.Generator().manual_seed(seed_of(2))
    y = torch.sin(6 * X[:, 0]) * X[:, 1] + 0.1 * torch.randn(len(X), dtype=torch.float64, generator=generator)
    result = fk.fit(network(), X, y, starts=3, grids=None, iterations=12, polish=False)
    held = [attempt.held_out for phase in result.phases for attempt in phase.attempts[:1]]
    assert result.held_out == pytest.approx(min(held), rel=1e-12)
    best = min((a for phase in result.phases for a in phase.attempts[:1]), key=lambda a: a.held_out)
    assert result.smoothness == best.smoothness
    worse = [a.held_out for phase in result.phases for a in phase.attempts[1:]]
    assert worse and max(worse) > result.held_out


def test_observer_hears_everything():
    heard = []

    class Listener(FitObserver):
        def on_phase_start(self, name, grid, iterations):
            heard.append((name, grid))
            steps.append([])

        def on_step(self, iteration, loss):
            assert math.isfinite(loss)
            steps[-1].append(iteration)

        def on_end(self, result):
            heard.append(result.stopped)

    steps: list[list[int]] = []
    result = fk.fit(network(), X, PRODUCT, iterations=3, observer=Listener())
    assert heard == [*((p.name, p.grid) for p in result.phases), result.stopped]
    assert steps == [list(range(1, phase.iterations + 1)) for phase in result.phases]


def test_progress_goes_to_stderr_only(capfd):
    fk.fit(network(), X, PRODUCT, iterations=2, starts=2, progress=True)
    assert capfd.readouterr().out == ""


def bad(value: float) -> Tensor:
    x = X.clone()
    x[17, 1] = value
    return x


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"X": bad(math.nan)}, r"X is nan in row 17, column 1 \(counted from 0\)"),
        ({"y": torch.cat([PRODUCT[:-1], torch.tensor([math.inf])])}, "y is inf in row 299, column 0"),
        ({"y": PRODUCT[:7]}, "X has 300 rows, y has 7"),
        ({"X": X[:, 0]}, r"X must be \[rows, columns\], got \(300,\); one variable is X\[:, None\]"),
        ({"X": points(300, 3)}, "X has 3 columns, the network has 2 inputs"),
        ({"y": points(300, 2)}, "y has 2 columns, the network has 1 outputs"),
        ({"X": X[:0], "y": PRODUCT[:0]}, "X is empty"),
        ({"weights": -torch.ones(300)}, "weights must not be negative"),
        ({"weights": torch.ones(5)}, "one number for each of the 300 rows"),
        ({"loss": "cubic"}, "loss must be"),
        ({"loss": "logistic"}, "between 0 and 1"),
        ({"grids": (5, 3)}, "counts that increase"),
        ({"delta": -5.0}, "delta must be above 0"),
        ({"delta": 1.0}, 'delta belongs to loss="huber"'),
        ({"delta": 1.0, "loss": Huber(2.0)}, 'delta belongs to loss="huber"'),
        ({"loss": Logistic()}, "between 0 and 1"),
        ({"held_out": 0.9}, "held_out must be a fraction from 0 to 0.5"),
        ({"smoothness": -1.0}, "smoothness must not be negative"),
        ({"sparsity": -1.0}, "sparsity must not be negative"),
        ({"seconds": 0}, "seconds must be above 0"),
        ({"starts": -1}, "starts must be at least 0"),
        ({"y": None}, "give X and y"),
    ],
    ids=lambda value: None if isinstance(value, dict) else value[:20],
)
def test_bad_input_is_named(arguments, message):
    net = network()
    before = copy.deepcopy(net.state_dict())
    with pytest.raises(ValueError, match=message):
        fk.fit(net, **{"X": X, "y": PRODUCT, **arguments})
    assert all(torch.equal(a, b) for a, b in zip(before.values(), net.state_dict().values(), strict=True))


def test_things_that_are_no_numbers_or_no_network():
    with pytest.raises(TypeError, match="X must be a tensor or an array of numbers, got list"):
        fk.fit(network(), [["a", "b"]], PRODUCT)
    with pytest.raises(TypeError, match="net must be a torch module"):
        fk.fit("net", X, PRODUCT)
    with pytest.raises(TypeError, match="polish must be True or False, got 'no'"):
        fk.fit(network(), X, PRODUCT, polish="no")
    with pytest.raises(TypeError, match=r"increasing counts such as \(3, 6, 12\), got 6"):
        fk.fit(network(), X, PRODUCT, grids=6)
    with pytest.raises(ValueError, match="not finite at any start"):
        fk.fit(nn.Sequential(nn.Linear(2, 1), Explode()), X, PRODUCT)


class Explode(nn.Module):
    """NaN for every input."""

    def forward(self, x: Tensor) -> Tensor:
        return x * math.nan


def test_numpy_tables_with_whole_numbers():
    net = network()
    fk.fit(net, np.arange(40).reshape(20, 2), np.arange(20), iterations=10, starts=2)
    with torch.no_grad():
        assert float((net(torch.arange(40.0).view(20, 2).double())[:, 0] - torch.arange(20.0)).abs().max()) < 0.5


def test_logistic_matches_its_definition():
    output, target = torch.tensor([0.3, -40.0, 800.0]), torch.tensor([1.0, 1.0, 0.0])
    loss = Logistic()
    slope, curvature = loss.slope_and_curvature(output, target)
    assert torch.allclose(loss.value(output, target), torch.tensor([0.5544, 40.0, 800.0]), rtol=1e-4)
    assert torch.allclose(slope, torch.sigmoid(output) - target) and bool((curvature > 0).all())


@pytest.mark.parametrize(
    ("name", "delta", "loss"), [("squared", None, Squared()), ("huber", 1e7, Huber(1e7))], ids=["squared", "huber"]
)
def test_loss_objects_are_scaled_as_their_names_are(name, delta, loss):
    y = torch.stack([1e9 * PRODUCT, X[:, 0]], 1)
    first, second = network((2, 2, 2)), network((2, 2, 2))
    result = fk.fit(first, X, y, loss=name, delta=delta, iterations=5, starts=2)
    assert fk.fit(second, X, y, loss=loss, iterations=5, starts=2).loss == result.loss
    assert rmse(first, X, y) == rmse(second, X, y) < 2e8


def test_delta_is_in_units_of_each_output():
    y = torch.stack([1e3 * PRODUCT, PRODUCT], 1)
    net = network((2, 1, 2))
    result = fk.fit(net, X, y, loss="huber", delta=0.5, iterations=5, starts=2, smoothness=1e-3, held_out=0.0)
    with torch.no_grad():
        expected = Huber(0.5).value(net(X), y).mean()
    assert result.loss == pytest.approx(math.sqrt(2 * float(expected)), rel=1e-6)


@pytest.mark.parametrize(
    ("dtype", "size"), [(torch.float16, 1e6), (torch.float32, 1e39)], ids=["float16 1e6", "float32 1e39"]
)
def test_what_the_dtype_cannot_hold_is_refused_and_leaves_the_network(dtype, size):
    net = network(dtype=dtype)
    before = copy.deepcopy(net.state_dict())
    with pytest.raises(ValueError, match=f"which {dtype} cannot hold; divide y by its size"):
        fk.fit(net, X, size * PRODUCT, iterations=3, starts=2, grids=(3, 12))
    assert net.basis.grid_size == 6
    assert all(torch.equal(a, b) for a, b in zip(before.values(), net.state_dict().values(), strict=True))


def test_inputs_whose_scale_the_dtype_cannot_hold():
    with pytest.raises(ValueError, match=r"the feature norm of the inputs does not fit into torch.float32"):
        fk.fit(network(dtype=torch.float32), 1e-40 * X, PRODUCT, iterations=2, starts=1)


def test_seeds_like_time_stamps_and_no_grad_around_it(monkeypatch):
    net = network((2, 1))
    with torch.no_grad():
        fk.fit(net, X, X.sum(1), seed=20_250_101_123_456, iterations=3, starts=2)
        fk.fit(net, X, X.sum(1), seed=2**70, iterations=3, starts=2)
        monkeypatch.setattr(effort, "MOST_PARAMETERS", 5)
        fk.fit(net, X, X.sum(1), iterations=50, starts=1, grids=None)
    assert rmse(net, X, X.sum(1)) < 1e-2
