"""One reader of arrays for all public calls: the same answers for every kind of table, and the same refusals."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

import fasterkan as fk

from .seeds import seed_of
from .test_arrays import Arrow, Pandas, Polars

ROWS = 40


def table() -> tuple[np.ndarray, np.ndarray]:
    """Rows and targets that all dtypes of the test hold exactly: multiples of 1/8, and whole numbers."""
    generator = np.random.default_rng(seed_of(0))
    x = generator.integers(-16, 17, (ROWS, 2)) / 8
    return x, 2 * np.abs(x[:, 0]) + x[:, 1]


def network() -> fk.KAN:
    net = fk.KAN([2, 2, 1], fk.BSpline(grid_size=3), norm="feature", base="silu",
                 generator=torch.Generator().manual_seed(seed_of(1)))  # fmt: skip
    net.calibrate(torch.from_numpy(table()[0]).float())
    return net


def weights(net: torch.nn.Module) -> torch.Tensor:
    return torch.cat([tensor.detach().double().flatten() for tensor in net.state_dict().values()])


def fit(net, x, y):
    fk.fit(net, x, y, starts=1, grids=None, iterations=3, smoothness=0.0, polish=False, progress=False)
    return weights(net)


def calibrate(net, x, y):
    fk.calibrate(net, x)
    return weights(net)


def update_grid(net, x, y):
    net.update_grid(x)
    return weights(net)


def fit_to(net, x, y):
    layer = copy.deepcopy(net.layers[0])
    layer.fit_to(net.layers[0], x)
    return weights(layer)


def diagnose(net, x, y):
    report = fk.diagnose(net, (x, y))
    return torch.tensor([report.loss, *(layer.weight_grad for layer in report.layers)], dtype=torch.float64)


def diagnose_alone(net, x, y):
    return torch.tensor([layer.output_rms for layer in fk.diagnose(net, x).layers], dtype=torch.float64)


def auto_width(net, x, y):
    def train(other, a, b):
        other.layers[0].weight.data.zero_()

    found = fk.auto_width(x, y, shapes=[[2, 1]], fit=train)
    return torch.tensor([found.trials[0].error], dtype=torch.float64)


def prune(net, x, y):
    report = fk.prune(net, x, y, tolerance=0.2, loss="squared")
    return torch.tensor([report.loss_before, report.loss_after, report.after.edges], dtype=torch.float64)


def picture(net, x, y):
    axes = fk.plot.network(net, x).axes[0]
    return torch.from_numpy(np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in axes.lines]))


def bars(net, x, y):
    axes = fk.plot.importance(net, x).axes[0]
    return torch.tensor([bar.get_width() for bar in axes.patches], dtype=torch.float64)


CALLS = {
    "fit": fit,
    "calibrate": calibrate,
    "update_grid": update_grid,
    "fit_to": fit_to,
    "diagnose": diagnose,
    "diagnose-rows-alone": diagnose_alone,
    "auto_width": auto_width,
    "prune": prune,
    "edges": lambda net, x, y: torch.stack([e.values for e in fk.edges(net, x)]),
    "bands": lambda net, x, y: torch.stack([e.band for e in fk.edges(net, x, y)]),
    "importance": lambda net, x, y: fk.importance(net, x).inputs,
    "derivatives": lambda net, x, y: fk.derivatives(net, x).detach().double(),
    "plot-network": picture,
    "plot-importance": bars,
}
FLOATS = {
    "float32": lambda a: torch.from_numpy(a).float(),
    "float16": lambda a: torch.from_numpy(a).half(),
    "bfloat16": lambda a: torch.from_numpy(a).bfloat16(),
    "array": lambda a: a,
    "big-endian": lambda a: a.astype(">f4"),
    "long-double": lambda a: a.astype(np.longdouble),
    "backwards": lambda a: a[::-1].copy()[::-1],
    "columns-first": lambda a: np.asfortranarray(a),
    "objects": lambda a: a.astype(object),
    "lists": lambda a: a.tolist(),
    "empty-mask": lambda a: np.ma.masked_array(a, mask=np.zeros(a.shape)),
    "with-graph": lambda a: torch.from_numpy(a).requires_grad_(),
    "like-pandas": lambda a: Pandas(p=a[:, 0], q=a[:, 1]) if a.ndim == 2 else a,
    "like-polars": lambda a: Polars(p=a[:, 0], q=a[:, 1]) if a.ndim == 2 else a,
    "like-arrow": lambda a: Arrow(p=a[:, 0], q=a[:, 1]) if a.ndim == 2 else a,
}


@pytest.fixture(scope="module")
def expected():
    x, y = table()
    return {name: call(network(), torch.from_numpy(x), torch.from_numpy(y)) for name, call in CALLS.items()}


@pytest.mark.parametrize("kind", FLOATS)
@pytest.mark.parametrize("call", CALLS)
def test_the_same_answer_for_every_kind_of_table(call, kind, expected):
    x, y = table()
    found = CALLS[call](network(), FLOATS[kind](x), FLOATS[kind](y))
    torch.testing.assert_close(found, expected[call], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("call", CALLS)
def test_whole_numbers_are_numbers(call):
    x, y = (np.round(8 * part).astype(np.int16) for part in table())
    as_floats = CALLS[call](network(), x.astype(np.float64), y.astype(np.float64))
    for whole in (lambda a: a, lambda a: a.tolist(), lambda a: torch.from_numpy(a).long(), lambda a: a.astype(">i4")):
        torch.testing.assert_close(CALLS[call](network(), whole(x), whole(y)), as_floats, rtol=1e-12, atol=1e-12)


NO_NUMBERS = {
    "dates": lambda a: np.round(a * 8).astype(np.int64).astype("M8[s]"),
    "durations": lambda a: np.round(a * 8).astype(np.int64).astype("m8[s]"),
    "text": lambda a: a.astype(str),
    "text-objects": lambda a: a.astype(str).astype(object),
    "complex": lambda a: a.astype(complex),
    "fields": lambda a: np.array([tuple(row) for row in a], dtype=[("p", float), ("q", float)]),
    "sparse": lambda a: torch.from_numpy(a).to_sparse(),
    "date-column": lambda a: Polars(p=a[:, 0], q=np.zeros(len(a), "M8[D]")),
}


@pytest.mark.parametrize("kind", NO_NUMBERS)
@pytest.mark.parametrize("call", CALLS)
def test_the_same_refusal_before_anything_changes(call, kind):
    x, y = table()
    net = network()
    before, state = weights(net), torch.get_rng_state()
    with pytest.raises(TypeError, match=r"must be a tensor or an array of numbers, got|give real and imaginary part"):
        CALLS[call](net, NO_NUMBERS[kind](x), y)
    assert torch.equal(weights(net), before)
    assert torch.equal(torch.get_rng_state(), state)


MISSING = {
    "masked": lambda a: np.ma.masked_array(a, mask=np.arange(a.size).reshape(a.shape) == 7),
    "none": lambda a: [
        [None if (i, j) == (3, 1) else v for j, v in enumerate(row)] for i, row in enumerate(a.tolist())
    ],
    "column": lambda a: Pandas(p=a[:, 0], q=np.ma.masked_array(a[:, 1], mask=np.arange(len(a)) == 3)),
}


@pytest.mark.parametrize("kind", MISSING)
@pytest.mark.parametrize("call", ["fit", "prune", "edges", "bands", "importance", "auto_width", "plot-network"])
def test_a_missing_value_is_named(call, kind):
    x, y = table()
    with pytest.raises(ValueError, match=r"X is nan in row 3, column 1 \(counted from 0\); remove or fill such rows"):
        CALLS[call](network(), MISSING[kind](x), y)


def test_a_missing_value_where_rows_are_left_out():
    x, y = table()
    left_out = np.delete(x, 3, 0)
    masked = MISSING["masked"](x)
    found = update_grid(network(), masked, y)
    torch.testing.assert_close(found, update_grid(network(), left_out, y), rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="saw no usable row"):
        fk.calibrate(network(), masked)
    assert not fk.diagnose(network(), masked).healthy
    weight = (np.arange(ROWS) != 3).astype(float)
    one, other = network(), network()
    given = {"starts": 1, "grids": None, "iterations": 3, "smoothness": 0.0, "held_out": 0.0, "progress": False}
    fk.fit(one, masked, y, weights=weight, **given)
    fk.fit(other, left_out, np.delete(y, 3), **given)
    torch.testing.assert_close(weights(one), weights(other), rtol=1e-4, atol=1e-5)


def test_batches_of_tables():
    x, y = table()
    whole, parts = network(), network()
    fk.calibrate(whole, x)
    fk.calibrate(parts, [Pandas(p=x[:9, 0], q=x[:9, 1]), x[9:20].tolist(), (x[20:], y[20:])])
    torch.testing.assert_close(weights(parts), weights(whole), rtol=1e-5, atol=1e-6)  # float32, sums in another order
    one = fk.diagnose(network(), (x, y))
    other = fk.diagnose(network(), [(x[:9].tolist(), y[:9].tolist()), (x[9:].astype(">f8"), y[9:])])
    assert other.loss == pytest.approx(one.loss, rel=1e-5)


def test_an_edge_takes_arrays():
    edge = fk.edges(network(), table()[0])[0]
    at = np.array([[0.5, -0.25]])
    expected = edge(torch.from_numpy(at))
    for values in (at, at.tolist(), at.astype(">f4"), np.ma.masked_array(at, mask=False)):
        torch.testing.assert_close(edge(values), expected)
    torch.testing.assert_close(edge(0.5), expected[0, 0])
    x = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(edge(x), x)
    assert slope.item() == pytest.approx(float(edge(0.5 + 1e-4) - edge(0.5 - 1e-4)) / 2e-4, rel=1e-2)


def test_derivatives_keep_the_graph_of_a_tensor():
    x = torch.tensor([[0.5, -0.25]], requires_grad=True)
    found = fk.derivatives(network(), x)
    (second,) = torch.autograd.grad(found[0, 0, 0], x)
    torch.testing.assert_close(second, fk.derivatives(network(), x.detach(), order=2)[:, 0, 0].detach())


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_real_data_frames(library):
    module = pytest.importorskip(library)
    x, y = table()
    whole = np.round(8 * x[:, 1]).astype(np.int64)
    make = module.table if library == "pyarrow" else module.DataFrame
    frame = make({"p": x[:, 0], "q": whole})
    reference = np.column_stack([x[:, 0], whole])
    for call in ("fit", "calibrate", "diagnose", "edges"):
        found = CALLS[call](network(), frame, y)
        torch.testing.assert_close(found, CALLS[call](network(), reference, y), rtol=1e-12, atol=1e-12)
    holes = [None if i == 3 else int(v) for i, v in enumerate(whole)]
    kind = {"pandas": lambda: module.array(holes, "Int64"), "pyarrow": lambda: module.array(holes)}
    with pytest.raises(ValueError, match="X is nan in row 3, column 1"):
        fit(network(), make({"p": x[:, 0], "q": kind.get(library, lambda: holes)()}), y)
    days = np.arange(ROWS).astype("M8[ms]")
    with pytest.raises(TypeError, match="fit: column 'q' of X must be a tensor or an array of numbers, got dates"):
        fit(network(), make({"p": x[:, 0], "q": days}), y)
