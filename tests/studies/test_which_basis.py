"""The study's rows are of the right size and scale, and no row teaches, chooses and tests at once."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ..seeds import seed_of


@pytest.fixture(scope="module")
def study(script):
    return script("which_basis")


@pytest.fixture(scope="module")
def tasks(script):
    return script("_which_basis_tasks")


def unique(*parts):
    """How many different rows some parts have together."""
    return len(torch.cat([part.x for part in parts]).unique(dim=0))


@pytest.mark.parametrize(
    ("name", "rows"), [("sn(u, m)", (800, 200, 1000)), ("J_v(t)", (800, 200, 1000)), ("noisy", (240, 60, 1000))]
)
def test_functions(tasks, name, rows):
    (split,) = tasks.TASKS[name].data(0)
    assert tuple(len(part.x) for part in split) == tuple(len(part.y) for part in split) == rows
    assert [part.x.shape[1] for part in split] == [2, 2, 2]
    assert unique(*split) == sum(rows)
    torch.testing.assert_close(split.train.x.mean(0), torch.zeros(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(split.train.x.std(0, correction=0), torch.ones(2))
    assert float(split.test.x.std(0).sub(1).abs().max()) < 0.15  # the same scale, not its own
    assert not torch.equal(split.train.x, tasks.TASKS[name].data(1)[0].train.x)


def test_noise_is_on_what_trains_and_chooses_alone(tasks):
    make = {noise: tasks.function(tasks.wave, [-1, -1], [1, 1], 1000, noise)(3)[0] for noise in (0.0, 0.3)}
    for clean, noisy in zip(make[0.0], make[0.3], strict=True):
        assert torch.equal(clean.x, noisy.x)
    assert torch.equal(make[0.0].test.y, make[0.3].test.y)
    for part in ("train", "validation"):
        difference = getattr(make[0.3], part).y - getattr(make[0.0], part).y
        assert float(difference.std()) == pytest.approx(0.3, rel=0.15)


def test_known_values(tasks):
    assert tasks.jv(np.array([[0.0, 0.0], [1.0, 2.0]])) == pytest.approx([1.0, 0.5767248])
    assert tasks.ellipj(np.array([[0.7, 0.0]])) == pytest.approx([math.sin(0.7)])
    assert tasks.wave(np.array([[0.5, -2.0]])) == pytest.approx([math.sin(1.5) + 4])


def test_each_row_of_a_table_is_tested_once_and_never_taught_to_its_network(tasks):
    x = np.arange(23.0)[:, None] * [1.0, -2.0]
    splits = tasks.folds(x, x[:, :1] ** 2, seed=1)
    assert [tuple(len(part.x) for part in split) for split in splits] == [(15, 3, 5)] * 3 + [(16, 3, 4)] * 2
    assert all(unique(*split) == 23 for split in splits)
    assert sorted(row for split in splits for row in rows_tested(split)) == list(range(23))


def rows_tested(split):
    """The numbers of the tested rows, found by undoing the scale of x = 0 ... 22."""
    every = torch.cat([part.x[:, 0] for part in split]).double()
    step = (every.max() - every.min()) / 22
    return ((split.test.x[:, 0].double() - every.min()) / step).round().int().tolist()


def test_the_scale_knows_the_training_rows_alone(tasks):
    random = np.random.default_rng(seed_of(0))
    x, y = random.normal(5, 3, (30, 4)), random.normal(-2, 7, (30, 1))
    train, validation, test = np.split(np.arange(30), [20, 25])
    before = tasks.standardised(x, y, train, validation, test)
    x[test], y[test] = 1e6, 1e6
    after = tasks.standardised(x, y, train, validation, test)
    for a, b in zip(before[:2], after[:2], strict=True):
        assert torch.equal(a.x, b.x) and torch.equal(a.y, b.y)
    assert float(before.train.y.mean()) == pytest.approx(0, abs=1e-6)
    assert float(before.train.y.std(correction=0)) == pytest.approx(1)


@pytest.mark.parametrize(("name", "columns", "rows"), [("diabetes", 10, 442), ("linnerud", 3, 20)])
def test_tables(tasks, name, columns, rows):
    pytest.importorskip("sklearn")
    splits = tasks.TASKS[name].data(0)
    assert sum(len(split.test.x) for split in splits) == rows
    assert {split.train.x.shape[1] for split in splits} == {columns} == {tasks.TASKS[name].widths[0]}
    assert {split.test.y.shape[1] for split in splits} == {1}


def test_images(tasks, monkeypatch):
    def made(count, level):
        images = torch.randint(level, level + 50, (count, 1, 28, 28), dtype=torch.uint8)
        return SimpleNamespace(images=images, labels=torch.arange(count) % 10)

    monkeypatch.setattr(tasks, "train_validation_test", lambda name: (made(30, 0), made(20, 100), made(10, 200)))
    (split,) = tasks.images("mnist")(0)
    assert [part.x.shape for part in split] == [(30, 784), (20, 784), (10, 784)]
    assert [len(part.y) for part in split] == [30, 20, 10]
    assert float(split.train.x.mean()) == pytest.approx(0, abs=1e-3)
    assert float(split.train.x.std()) == pytest.approx(1, abs=1e-3)
    assert float(split.test.x.mean()) == pytest.approx(200 / math.sqrt((50**2 - 1) / 12), rel=0.01)


def test_rational_has_as_many_groups_as_divide_the_widths(study, tasks):
    assert study.kan("Rational", tasks.TASKS["MNIST"]).basis.groups == 8
    assert study.kan("Rational", tasks.TASKS["noisy"]).basis.groups == 1


@pytest.mark.parametrize("task", ["MNIST", "diabetes", "linnerud", "noisy"])
def test_the_mlps_have_the_sizes_that_they_are_named_after(study, tasks, task):
    task = tasks.TASKS[task]
    x = torch.randn(20, task.widths[0])
    for mlp, basis in study.MLPS.items():
        ours, theirs = (sum(p.numel() for p in study.build(name, task, x).parameters()) for name in (mlp, basis))
        assert abs(ours - theirs) <= (task.widths[0] + task.widths[-1] + 1) / 2


def small(tasks, classes=False):
    """A task of 3 x 80 rows of two columns."""

    def data(seed):
        x = 2 * torch.rand(240, 2, generator=torch.Generator().manual_seed(seed_of(seed))) - 1
        y = (x[:, 0] > 0).long() if classes else x[:, :1] * 0.5
        return [tasks.Split(*(tasks.Rows(x[i : i + 80], y[i : i + 80]) for i in (0, 80, 160)))]

    return tasks.Task("tables", "made", (2, 3, 2 if classes else 1), "feature", 200, 1000, 1e-2, data)


def test_training_never_sees_the_test_rows(study, tasks):
    task = small(tasks)
    split = task.data(0)[0]
    net = study.train("Hat", task, split._replace(test=None), 0)
    again = study.train("Hat", task, split, 0)
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), again.state_dict().values(), strict=True))


def test_the_best_look_is_kept(study, tasks, monkeypatch):
    task, seen = small(tasks), []
    looks = iter([3.0, math.nan, 1.0, 2.0] + [5.0] * 16)

    def squares(net, rows, task):
        seen.append(net.layers[0].weight.detach().clone())
        return torch.tensor([next(looks)])

    monkeypatch.setattr(study, "squares", squares)
    net = study.train("RSWAF", task, task.data(0)[0], 0)
    assert len(seen) == study.LOOKS == 20
    assert torch.equal(net.layers[0].weight, seen[2])
    assert not torch.equal(seen[2], seen[-1])


@pytest.mark.parametrize("classes", [False, True], ids=["numbers", "classes"])
@pytest.mark.parametrize("name", ["RSWAF", "MLP like RSWAF"])
def test_a_run_learns(study, tasks, name, classes):
    row = study.run(name, small(tasks, classes), 0)
    assert row["error"] < 0.5 * row["constant_error"]
    assert row["functions"] == (8 if name == "RSWAF" else None)
    assert row["parameters"] > 20


def test_errors(study, tasks):
    numbers, labels = small(tasks), small(tasks, classes=True)
    assert study.error([torch.tensor([1.0, 9.0]), torch.tensor([2.0])], numbers) == pytest.approx(2.0)
    assert study.error([torch.tensor([1.0, 0.0, 0.0, 1.0])], labels) == 0.5
    assert study.error([torch.tensor([1.0, math.inf])], numbers) is None
    rows = tasks.Rows(torch.tensor([[0.0], [0.0]]), torch.tensor([1, 0]))
    assert study.squares(torch.nn.Linear(1, 2).requires_grad_(False), rows, labels).sum() == 1
    split = tasks.Split(tasks.Rows(None, torch.tensor([1, 1, 0])), None, rows)
    assert study.constant(split, labels).tolist() == [0.0, 1.0]
    split = tasks.Split(tasks.Rows(None, torch.tensor([[1.0], [3.0]])), None, tasks.Rows(None, torch.tensor([[5.0]])))
    assert study.constant(split, numbers).tolist() == [9.0]


def test_every_network_is_timed(study, tasks):
    times = study.step_times(small(tasks), repeats=2)
    assert set(times) == set(study.NETWORKS)
    assert all(0 < t["p20_ms"] <= t["median_ms"] for t in times.values())
