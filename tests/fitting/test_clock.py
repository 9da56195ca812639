"""The time limit of fk.fit, and what it does with less time than it needs."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import fasterkan as fk
from fasterkan.fitting import clock as clock_module
from fasterkan.fitting import effort, search
from fasterkan.fitting import rows as rows_module
from fasterkan.fitting.clock import Clock, OutOfTimeError
from fasterkan.fitting.descent import BATCH, Descent
from fasterkan.fitting.effort import Costs, affordable, network_steps
from fasterkan.fitting.flat import FlatNet
from fasterkan.fitting.levenberg_marquardt import Lanes, minimise
from fasterkan.fitting.losses import Squared
from fasterkan.fitting.norms import calibration_rows
from fasterkan.fitting.objective import Sum
from fasterkan.fitting.rows import Rows
from fasterkan.fitting.split import _equal_rows

from ..seeds import seed_of


def table(rows: int, columns: int = 2, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed_of(seed))
    x = torch.rand(rows, columns, generator=generator, dtype=torch.float64) * 2 - 1
    noise = 0.1 * torch.randn(rows, generator=generator, dtype=torch.float64)
    return x, torch.sin(3 * x[:, 0]) + x[:, 1].square() + noise  # sd .75


def network(columns: int = 2, **options: object) -> fk.KAN:
    generator = torch.Generator().manual_seed(seed_of(0))
    settings = {"norm": "feature", "base": "silu", "dtype": torch.float64, "generator": generator}
    return fk.KAN([columns, 2, 1], fk.BSpline(grid_size=4), **{**settings, **options})


class Time:
    """A clock that counts work: so many seconds for each row and network."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, value: float, jacobian: float) -> None:
        self.seconds, self.largest = 0.0, 0
        monkeypatch.setattr(clock_module, "now", lambda: self.seconds)
        make = Rows.__init__

        def counting(rows: Rows, *args: object, **options: object) -> None:
            make(rows, *args, **options)  # type: ignore[arg-type]
            for name, cost in (("_outputs", value), ("_one", value), ("_jacobian", jacobian)):
                setattr(rows, name, self.counted(getattr(rows, name), cost))

        monkeypatch.setattr(Rows, "__init__", counting)

    def counted(self, function, cost):
        def run(theta, constants, x):
            self.seconds += cost * len(theta) * len(x)
            self.largest = max(self.largest, len(theta) * len(x))
            return function(theta, constants, x)

        return run


@pytest.mark.parametrize("rows", [1000, 10_000, 100_000])
@pytest.mark.parametrize(
    ("value", "jacobian"), [(3e-4, 1e-3), (3e-4, 1e-1)], ids=["cheap Jacobians", "expensive Jacobians"]
)
def test_seconds_hold_whatever_the_work_costs(rows, value, jacobian, monkeypatch):
    time = Time(monkeypatch, value=value, jacobian=jacobian)
    x, y = table(rows)
    new_x, new_y = table(1000, seed=1)
    net = network()
    result = fk.fit(net, x, y, seconds=10.0, progress=False)
    assert time.seconds <= 11 and result.seconds == time.seconds
    assert result.stopped == "time" and result.cut_by_clock and 0 < result.rows <= rows
    with torch.no_grad():
        error = float((net(new_x)[:, 0] - new_y).square().mean().sqrt())
    assert error < 0.6  # the mean has .75; 10 s are 30,000 rows of values, but not one more
    assert time.largest <= rows_module.CHUNK_ROWS


def test_a_limit_that_is_never_reached_changes_nothing(monkeypatch):
    x, y = table(100)
    free = fk.fit(network(), x, y, starts=2, iterations=3)
    monkeypatch.setattr(clock_module, "now", lambda: 0.0)
    result = fk.fit(network(), x, y, starts=2, iterations=3, seconds=1.0)
    assert result.stopped == free.stopped != "time" and result.rows == free.rows == 100
    seen = [[(p.name, p.rows, p.iterations, len(p.attempts)) for p in r.phases] for r in (free, result)]
    assert seen[0] == seen[1]
    assert result.loss == pytest.approx(free.loss, rel=1e-3)


def test_rows_grow_without_a_limit_too(monkeypatch):
    for module in (effort, search):
        monkeypatch.setattr(module, "GROWTH" if module is search else "ROWS", 3 if module is search else 100)
    monkeypatch.setattr("fasterkan.fitting.fit_network.ROWS", 100)
    monkeypatch.setattr(effort, "ROWS_PER_PARAMETER", 1)
    x, y = table(2000)
    net = network()
    result = fk.fit(net, x, y, starts=1, iterations=5)
    assert [(p.name, p.rows) for p in result.phases][-3:] == [("rows", 300), ("rows", 900), ("polish", 2000)]
    assert {p.rows for p in result.phases if p.name in ("starts", "smoothness")} == {100}
    with torch.no_grad():
        errors = (net(x)[:, 0] - y).square().mean().sqrt()
    assert result.rows == 2000 and result.loss == pytest.approx(float(errors), rel=1e-9)
    assert result.loss < 0.15


def test_what_is_reported_is_measured_on_all_rows(monkeypatch):
    monkeypatch.setattr(search, "MEASURED", 50)
    monkeypatch.setattr("fasterkan.fitting.race.MEASURED", 50)
    x, y = table(400)
    net = network()
    result = fk.fit(net, x, y, starts=2, iterations=4, polish=False)
    with torch.no_grad():
        squares = (net(x)[:, 0] - y).square()
    fitted = 320 * result.loss**2 + 80 * result.held_out**2
    assert float(squares.sum()) == pytest.approx(fitted, rel=1e-9)


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "rows"])
def test_equations_stop_in_time(whole, monkeypatch):
    seconds = [0.0]

    def now() -> float:
        seconds[0] += 1e-3  # each look at the clock
        return seconds[0]

    monkeypatch.setattr(clock_module, "now", now)
    t = torch.linspace(0, 2, 40, dtype=torch.float64).unsqueeze(-1)
    net = fk.KAN([1, 1], fk.Legendre(degree=8, domain=None), norm=fk.FeatureNorm(mode="range"), dtype=torch.float64)
    equation = (lambda n: n(t) - torch.exp(-t)) if whole else [(lambda n, t: n(t) - torch.exp(-t), t)]
    result = fk.fit(net, t, residual=equation, seconds=0.2)
    assert result.seconds <= 0.22 and result.rows == (1 if whole else 40)


def test_lbfgs_shares_its_time(monkeypatch):
    monkeypatch.setattr(effort, "MOST_PARAMETERS", 5)
    time = Time(monkeypatch, value=1e-4, jacobian=1.0)
    x, y = table(1000)
    result = fk.fit(network(), x, y, seconds=20.0, smoothness=1e-6, grids=None)
    assert time.seconds <= 22 and {p.method for p in result.phases} == {"L-BFGS"}
    assert result.loss < 0.5


def test_levenberg_marquardt_keeps_what_it_had():
    class Cut:
        """(theta - 1)^2 / 2; the third Jacobian takes too long."""

        count = 0

        def value(self, theta: Tensor, lanes: Tensor) -> Tensor:
            return (theta - 1).square().sum(-1) / 2

        def normal(self, theta: Tensor, lanes: Tensor) -> tuple[Tensor, Tensor]:
            self.count += 1
            if self.count == 3:
                raise OutOfTimeError
            return torch.ones(len(theta), 1, 1).double(), theta - 1

    objective = Cut()
    lanes = Lanes.at(torch.tensor([[5.0]], dtype=torch.float64), objective)
    why = minimise(objective, lanes, iterations=9, tolerance=0.0, clock=Clock(), on_step=lambda state: None)
    assert why == "time" and lanes.iterations == 2 and 0 < abs(float(lanes.theta) - 1) < 0.1


def test_adam_is_torchs():
    generator = torch.Generator().manual_seed(seed_of(0))
    start = torch.randn(2, 5, generator=generator, dtype=torch.float64)
    gradients = torch.randn(20, 2, 5, generator=generator, dtype=torch.float64)
    rates = torch.tensor([0.03, 0.01], dtype=torch.float64)
    state = Descent(start.clone(), rates)
    expected = [start[i].clone().requires_grad_() for i in range(2)]
    adam = torch.optim.Adam([{"params": [p]} for p in expected], betas=(0.9, 0.99), eps=1e-12)
    for step, gradient in enumerate(gradients):
        share = 0.05 + step / 25  # behind the warm-up
        for group, parameter, rate, slope in zip(adam.param_groups, expected, rates, gradient, strict=True):
            group["lr"] = float(rate) * (1 + math.cos(math.pi * share)) / 2
            parameter.grad = slope
        adam.step()
        state.step(gradient, share)
    torch.testing.assert_close(state.theta, torch.stack(expected).detach(), rtol=1e-10, atol=1e-12)


def small_rows(count: int, *, clock: Clock | None = None, outputs: int = 2) -> tuple[Rows, Tensor, dict[str, Tensor]]:
    x, _ = table(count)
    net = fk.KAN([2, 2, outputs], fk.BSpline(3), norm="feature", base="silu", dtype=torch.float64)
    net.calibrate(x)
    flat = FlatNet(net)
    generator = torch.Generator().manual_seed(seed_of(5))
    y = torch.randn(count, outputs, generator=generator, dtype=torch.float64)
    weights = torch.rand(count, generator=generator, dtype=torch.float64) + 0.1
    rows = Rows(flat, lambda net, x: net(x), x, y, weights, Squared(), 3.0, clock=clock)
    theta = torch.cat([flat.theta([net]), flat.theta([net]) + 0.1])
    return rows, theta, {name: torch.cat([t, t]) for name, t in flat.constants([net]).items()}


@pytest.mark.parametrize("outputs", [1, 2])
def test_both_ways_to_the_jacobian_agree(outputs, monkeypatch):
    rows, theta, constants = small_rows(30, clock=Clock(1e6), outputs=outputs)
    found = []
    for imported in (True, False):
        monkeypatch.setattr(rows_module, "compiler_is_imported", lambda imported=imported: imported)
        found.append((*rows._jacobian(theta, constants, rows.points), *rows.normal(theta, constants)))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_one_network_and_several_have_the_same_gradient():
    rows, theta, constants = small_rows(30)
    both = rows.gradient(theta, constants)
    for i in range(2):
        one = rows.gradient(theta[i : i + 1], {name: t[i : i + 1] for name, t in constants.items()})
        for a, b in zip(one, both, strict=True):
            torch.testing.assert_close(a[0], b[i], rtol=1e-10, atol=1e-12)


def test_parts_of_rows_are_means_of_their_own():
    rows, theta, constants = small_rows(30)
    part = rows.between(5, 17)
    values = Squared().value(rows._outputs(theta, constants, rows.points[5:17]), rows.targets[5:17]).mean(-1)
    weights = rows.weights[5:17, 0] / rows.weights[5:17, 0].sum()
    torch.testing.assert_close(part.value(theta, constants), 3 * (values * weights).sum(-1))
    assert part.count == 12 and rows.between(25, 40).count == 5
    weights = rows.weights[:, 0]
    assert rows.share == pytest.approx(float(weights.sum() ** 2 / weights.square().sum()) / 30)


def test_parts_of_sums_keep_some_rows_of_each():
    many, few = small_rows(1000)[0], small_rows(40)[0]
    both = Sum([many, few])
    assert both.count == 1000
    assert [p.count for p in both.between(0, 1000).parts] == [1000, 40]
    assert [p.count for p in both.between(900, 1000).parts] == [100, 32]
    assert [p.count for p in Sum([few, small_rows(3)[0]]).between(0, 40).parts] == [40, 3]


def test_values_of_many_rows_come_in_chunks(monkeypatch):
    rows, theta, constants = small_rows(100)
    whole, gradient = rows.by_output(theta, constants), rows.gradient(theta, constants)
    monkeypatch.setattr(rows_module, "CHUNK_ROWS", 30)
    torch.testing.assert_close(rows.by_output(theta, constants), whole)
    for a, b in zip(rows.gradient(theta, constants), gradient, strict=True):
        torch.testing.assert_close(a, b)


def test_equal_rows_are_numbered_as_by_unique():
    generator = torch.Generator().manual_seed(seed_of(0))
    for values in (2, 3, 50):
        x = torch.randint(values, (60, 3), generator=generator).double() - 1
        x[::7, 1] = -0.0
        assert torch.equal(_equal_rows(x), torch.unique(x, dim=0, return_inverse=True)[1])


def test_calibration_rows_have_the_ends_of_each_column():
    x = torch.randn(30_000, 3, generator=torch.Generator().manual_seed(seed_of(0)), dtype=torch.float64)
    few = calibration_rows(x)
    assert len(few) < 9000
    assert torch.equal(few.amin(0), x.amin(0)) and torch.equal(few.amax(0), x.amax(0))
    assert calibration_rows(x[:100]) is not None and torch.equal(calibration_rows(x[:100]), x[:100])


class Table:
    """Rows that are only counted."""

    def __init__(self, count: int, share: float = 1.0) -> None:
        self.count, self.share = count, share


@pytest.mark.parametrize(
    ("seconds", "rows", "parameters", "networks", "least", "expected"),
    [
        # A step of one network on n rows costs n / 1000 + .1 s. 8 networks, halved after 8 and 16 steps, take 128.
        (1000.0, 1000, 100, 8, 1, (8, 1000, False)),
        (600.0, 10_000, 100, 8, 1, (8, 4587, True)),
        (100.0, 10_000, 100, 8, 1, (8, 681, True)),
        (20.0, 10_000, 100, 8, 1, (4, 525, True)),  # after 4 and after 8 steps: 32 in all
        (9.0, 10_000, 100, 8, 2, None),
        (9.0, 10_000, 100, 8, 1, (1, 1025, True)),
        (1.0, 10_000, 100, 8, 1, None),
        (20.0, 300, 1000, 8, 2, (4, 300, True)),
        (4.0, 300, 1000, 8, 2, (1, 300, True)),
    ],
    ids=[
        "all",
        "fewer rows",
        "few rows",
        "fewer networks",
        "one is too few",
        "one",
        "none",
        "all rows",
        "one, all rows",
    ],
)
def test_what_can_be_afforded(seconds, rows, parameters, networks, least, expected, monkeypatch):
    monkeypatch.setattr(clock_module, "now", lambda: 0.0)
    monkeypatch.setattr(effort, "ROWS", 10_000)
    found = affordable(Clock(seconds), Costs(1e-4, 1e-3, 0.1), Table(rows), parameters, networks, (8, 8), least=least)
    assert (found and (found.networks, found.rows, found.reduced)) == expected


def test_steps_of_halved_networks():
    assert network_steps(8, (8, 8), 16) == 8 * 8 + 4 * 8 + 2 * 16
    assert network_steps(1, (8, 8), 16) == 16
    assert network_steps(3, (10,), 4) == 3 * 10 + 2 * 4


def test_deadlines(monkeypatch):
    seconds = [10.0]
    monkeypatch.setattr(clock_module, "now", lambda: seconds[0])
    clock = Clock(20.0)
    clock.keep(4.0)
    seconds[0] = 14.0
    assert clock.elapsed() == 4 and clock.left() == 12
    with clock.until(0.5):
        assert clock.left() == 4 and not clock.lacks(3) and clock.lacks(4)
        with clock.within(1.0):
            assert clock.left() == 1
            with clock.stopped():
                assert clock.left() == math.inf
        seconds[0] = 18.0
        with pytest.raises(OutOfTimeError):
            clock.check()
    clock.check()
    assert Clock().left() == math.inf and not Clock().lacks(1e9)


def test_batches_cover_all_rows(monkeypatch):
    seen: list[tuple[int, int]] = []
    between = Rows.between
    monkeypatch.setattr(Rows, "between", lambda self, a, b: seen.append((a, b)) or between(self, a, b))
    monkeypatch.setattr(effort, "LEAST_ROWS", 10**9)
    Time(monkeypatch, value=1e-3, jacobian=0.1)
    x, y = table(1700)
    fk.fit(network(), x, y, seconds=20.0, held_out=0.0, polish=False)
    batches = seen[seen.index((BATCH, 2 * BATCH)) - 1 :]  # before them costs are measured
    assert batches[:5] == [(0, 512), (512, 1024), (1024, 1700), (0, 512), (512, 1024)]


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "seconds"), [(1000, 2.0), (1000, 10.0), (10_000, 10.0), (100_000, 10.0)])
def test_real_seconds(rows, seconds):
    x, y = table(rows, 20)
    result = fk.fit(network(20), x, y, seconds=seconds)
    assert result.seconds <= 1.1 * seconds and result.stopped == "time"
    assert result.loss < (0.5 if seconds == 10 else 0.75)
