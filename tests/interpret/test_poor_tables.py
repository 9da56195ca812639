"""Fitting, looking inside and pruning on tables from which little can be learned: a smaller answer or one message."""

from __future__ import annotations

import math
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

import fasterkan as fk

from ..seeds import seed_of

X = torch.rand(60, 3, generator=torch.Generator().manual_seed(seed_of(0)), dtype=torch.float64) * 2 - 1
Y = torch.sin(3 * X[:, 0]) + X[:, 1]


def constant_columns(*columns: int) -> Tensor:
    x = X.clone()
    x[:, list(columns)] = 7.0
    return x


class Poor(NamedTuple):
    """A table."""

    x: Tensor
    y: Tensor


TABLES = {
    "constant-column": Poor(constant_columns(2), Y),
    "constant-table": Poor(constant_columns(0, 1, 2), Y),
    "fewer-rows-than-parameters": Poor(X[:5], Y[:5]),
    "two-rows": Poor(X[:2], Y[:2]),
    "one-row-many-times": Poor(X[:1].expand(20, -1), Y[:1].expand(20)),
    "one-value": Poor(X, torch.full_like(Y, 2.5)),
    "zeros": Poor(0 * X, 0 * Y),
}


def fitted(table: Poor) -> fk.KAN:
    generator = torch.Generator().manual_seed(seed_of(0))
    basis = fk.BSpline(grid_size=4)
    net = fk.KAN([3, 2, 1], basis, norm="feature", base="silu", dtype=torch.float64, generator=generator)
    result = fk.fit(net, *table, starts=2, grids=None, iterations=8)
    assert math.isfinite(result.loss)
    return net.eval()


@pytest.fixture(scope="module", params=TABLES.values(), ids=TABLES)
def poor(request):
    """A poor table with a network that was fitted to it."""
    return request.param, fitted(request.param)


def test_the_fit_is_finite_and_no_worse_than_the_mean(poor):
    (x, y), net = poor
    with torch.no_grad():
        residual = net(x)[:, 0] - y
        assert bool(torch.isfinite(net(100 * x + 3)).all())
    assert float(residual.square().mean()) <= float(y.var(correction=0)) * (1 + 1e-9) + 1e-18


def test_every_edge_is_finite(poor):
    (x, y), net = poor
    for edge in [*fk.edges(net, x), *fk.edges(net, x, y)]:
        assert bool(torch.isfinite(edge.values).all() and torch.isfinite(edge(x[:, 0])).all()), edge.name
        assert str(edge)
    fk.plot.network(net, x)


def test_it_can_be_pruned(poor):
    (x, y), net = poor
    report = fk.prune(net, x, y)
    assert report.after.edges <= report.before.edges
    assert bool(torch.isfinite(report.net(x)).all())
    assert report.loss_after <= report.loss_allowed


def test_columns_of_one_value_are_the_first_to_go():
    table = TABLES["constant-column"]
    assert 2 in fk.prune(fitted(table), *table).removed_inputs


@pytest.mark.parametrize("name", ["one-value", "constant-table", "zeros"])
def test_nothing_varies_so_nothing_is_shared_out(name):
    table = TABLES[name]
    net = fitted(table)
    assert all(edge.total is None for edge in fk.edges(net, table.x))
    assert fk.prune(net, *table).after.edges == 0
    found = fk.importance(net, table.x)
    assert not bool(found.inputs.any()) and "no output varies" in found.note


def with_one(table: Tensor, value: float) -> Tensor:
    found = table.clone()
    found.view(len(found), -1)[3, 0] = value
    return found


CALLS = {
    "fit": lambda net, x, y: fk.fit(net, x, y),
    "edges": lambda net, x, y: fk.edges(net, x, y),
    "prune": lambda net, x, y: fk.prune(net, x, y),
    "auto_width": lambda net, x, y: fk.auto_width(x, y),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf], ids=["nan", "inf", "minus-inf"])
@pytest.mark.parametrize("where", ["x", "y"])
def test_values_that_are_not_finite_are_refused_by_the_function_that_was_called(call, value, where, request):
    x, y = (with_one(X, value), Y) if where == "x" else (X, with_one(Y, value))
    net = fk.KAN([3, 1], norm="feature", dtype=torch.float64)
    net.calibrate(X)
    name = request.node.callspec.id.split("-")[-1]
    with pytest.raises(ValueError, match=rf"^{name}: .*(NaN or infinity|(nan|inf) in row 3)"):
        call(net, x, y)
