"""The order in which parts are tried, and parts that go together."""

from __future__ import annotations

import pytest
import torch

import fasterkan as fk
from fasterkan.interpret.edge_list import worth_of
from fasterkan.interpret.pruning.masks import full_masks
from fasterkan.interpret.pruning.search import _parts

from ..known import network_of


@pytest.fixture
def rows():
    return torch.rand(300, 3, dtype=torch.float64) * 2 - 1


@pytest.mark.parametrize("kind", ["inputs", "nodes", "edges"])
def test_parts_are_tried_in_the_order_of_their_shares(rows, kind):
    net = fk.KAN([3, 4, 2], norm=None, dtype=torch.float64)
    worth = fk.importance(net, rows)
    found = _parts(net, worth_of(net, rows), full_masks(net), kind)
    scores = {"inputs": worth.inputs, "nodes": worth.nodes[1], "edges": torch.cat([e.flatten() for e in worth.edges])}
    assert [part.score for part in found] == pytest.approx(sorted(scores[kind].tolist()))
    for part in found:
        own = worth.nodes[part.layer] if part.output is None else worth.edges[part.layer][part.output]
        assert part.score == pytest.approx(float(own[list(part.inputs)].sum()))


def test_hidden_nodes_that_cancel_go_together(rows):
    """Each of them alone is worth many times the variance of y; together they are worth nothing."""
    first = {(0, 0): lambda t: 5 * t, (1, 0): lambda t: 5 * t, (2, 1): torch.sin}
    second = {(0, 0): lambda t: 3 * t, (0, 1): lambda t: -3 * t, (0, 2): lambda t: t}
    net = network_of([3, 3, 1], [1, 6], first, second)
    y = net(rows).detach()
    report = fk.prune(net, rows, y, inputs=False, edges=False, layers=False)
    assert report.widths_after == (3, 1, 1)
    torch.testing.assert_close(report.net(rows), y, rtol=0, atol=1e-3)


@pytest.mark.parametrize("base", [None, "silu"], ids=["", "base"])
def test_losses_on_training_rows_are_final_prediction_errors(rows, base):
    """Akaike's: mean square / variance of y * (1 + 2 P / N); each of 12 edges has 6 weights, or 7 with a base."""
    net = fk.KAN([3, 3, 1], fk.Legendre(5), norm=None, base=base, dtype=torch.float64)
    y = net(rows).detach() + 0.1 * torch.randn(300, 1, dtype=torch.float64)
    report = fk.prune(net, rows, y, inputs=False, nodes=False, edges=False, layers=False)
    weights = 12 * (6 if base is None else 7)
    error = ((net(rows).detach() - y).square().mean() / y.var(correction=0)).item()
    assert report.loss_before == pytest.approx(error * (1 + 2 * weights / 300), rel=1e-6)


def near_copies(rows, rest, size=20):
    """Two columns that are nearly equal, with opposite functions of some size whose sum is `rest` times a column."""
    x = rows.clone()
    x[:, 1] = x[:, 0] + 0.01 * x[:, 1]
    first = {(0, 0): lambda t: size * t, (0, 1): lambda t: (rest - size) * t, (0, 2): torch.sin}
    net = network_of([3, 1], [1.1], first)
    net.set_names(["s1", "s2", "bmi"], ["y"])
    return net, x, net(x).detach()


def test_collinear_inputs_that_matter_together_stay(rows):
    net, x, y = near_copies(rows, 1.0)
    assert fk.prune(net, x, y).removed_inputs == ()


def test_collinear_inputs_that_matter_little_go_together(rows):
    net, x, y = near_copies(rows, 0.0)
    report = fk.prune(net, x, y, tolerance=0.5)
    assert report.removed_inputs == (0, 1)
    assert "inputs gone s1, s2" in str(report)


def test_a_refit_lets_one_of_two_copies_go(rows):
    net, x, y = near_copies(rows, 1.0, size=5)
    assert fk.prune(net, x, y, tolerance=0.01).removed_inputs == ()

    def refit(smaller):
        fk.fit(smaller, x, y, starts=0, iterations=10, progress=False)

    report = fk.prune(net, x, y, tolerance=0.01, refit=refit, rounds=2)
    assert len({0, 1} - set(report.removed_inputs)) == 1 and 2 not in report.removed_inputs
    assert report.loss_after <= report.loss_allowed


def test_groups_among_the_columns_that_are_left_are_found(rows):
    net, x, _ = near_copies(rows, 0.0)
    wide = torch.cat([torch.rand(300, 2, dtype=torch.float64), x], 1)
    net.take_inputs([2, 3, 4], 5)
    (group, single) = _parts(net, worth_of(net, wide), full_masks(net), "inputs")
    assert (group.inputs, single.inputs) == ((0, 1), (2,))
