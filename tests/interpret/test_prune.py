"""Pruning: what goes, what stays, and that the rest is what it was."""

from __future__ import annotations

import pytest
import torch

import fasterkan as fk
from fasterkan.interpret._compact import compact, with_biases
from fasterkan.interpret._masks import Masked, close, full_masks, means_of

TERMS = (lambda x: torch.sin(3 * x), torch.square, torch.tanh, lambda x: x)


@pytest.mark.parametrize("seed", range(10))
def test_inputs_that_play_no_part_are_found_and_no_other(fitted, seed):
    """Five columns, two of them idle; the others explain different shares of y, the least 2 % or more."""
    torch.manual_seed(seed)
    order = torch.randperm(5).tolist()
    used, idle = order[:3], sorted(order[3:])
    sizes = [1.0, 0.6, 0.35]

    def function(x):
        terms = [c * TERMS[(seed + n) % 4](x[:, [i]]) for n, (c, i) in enumerate(zip(sizes, used, strict=True))]
        return sum(terms) + 0.3 * x[:, [used[0]]] * x[:, [used[1]]]

    net, x, y = fitted([5, 4, 1], function, rows=400, noise=0.05)
    report = fk.prune(net, x, y)
    assert list(report.removed_inputs) == idle
    assert report.loss_after <= report.loss_allowed
    assert report.after.edges < report.before.edges


def pruned_by_hand(net, rows, masks):
    """The masked network and its compact form."""
    whole = with_biases(net)
    masked = Masked(whole, close(masks), means_of(whole, rows)).eval()
    return masked, compact(masked, rows)


@pytest.mark.parametrize("norm", ["layer", "rms", "feature", None])
@pytest.mark.parametrize(
    "basis",
    [fk.RSWAF(5), fk.BSpline(4), fk.RSWAF(5, per_feature=True), fk.Wavelet("mexican_hat"), fk.Chebyshev(3)],
    ids=["rswaf", "bspline", "per-feature", "wavelet", "chebyshev"],
)
@pytest.mark.parametrize("base", [None, "silu"])
def test_the_smaller_network_gives_what_the_masked_one_gives(norm, basis, base, tmp_path):
    net, rows = (
        fk.KAN([7, 6, 5, 3], basis, norm=norm, base=base, bias=False, dtype=torch.float64),
        torch.rand(50, 7).double(),
    )
    if norm == "feature":
        net.calibrate(rows)
    masks = [mask & (torch.arange(mask.numel()).view(mask.shape) % 4 != 2) for mask in full_masks(net)]
    masks[0][:, [1, 4]] = False
    masks[1][:, 2] = False
    masks[1][3] = False
    masked, small = pruned_by_hand(net, rows, masks)
    torch.testing.assert_close(small(rows), masked(rows), rtol=1e-9, atol=1e-9)
    assert [layer.in_features for layer in small.kan_layers()] == [5, 5, 4]
    assert small.layers_hidden == (7, 5, 4, 3)
    assert small.kept_inputs.tolist() == [0, 2, 3, 5, 6]
    # And a second time, now with columns and features that are gone already.
    again = full_masks(small)
    again[0][:, 0] = False
    again[2][:, 1] = False
    masked, smaller = pruned_by_hand(small, rows, again)
    torch.testing.assert_close(smaller(rows), masked(rows), rtol=1e-9, atol=1e-9)
    assert smaller.kept_inputs.tolist() == [2, 3, 5, 6]
    smaller.save_pretrained(tmp_path)
    loaded = fk.from_pretrained(tmp_path)
    assert torch.equal(loaded(rows), smaller.eval()(rows))


def test_what_is_replaced_keeps_its_mean():
    net, rows = fk.KAN([4, 2], norm=None, dtype=torch.float64), torch.rand(60, 4, dtype=torch.float64)
    masks = full_masks(net)
    masks[0][0, 2] = masks[0][1, :] = False
    _, small = pruned_by_hand(net, rows, masks)
    torch.testing.assert_close(small(rows).mean(0), net(rows).mean(0))
    torch.testing.assert_close(small(rows)[:, 1], net(rows)[:, 1].mean().expand(60))


def test_edges_that_lead_nowhere_go_too():
    masks = [torch.ones(3, 2, dtype=torch.bool), torch.ones(2, 3, dtype=torch.bool), torch.ones(1, 2, dtype=torch.bool)]
    masks[0][0] = False  # node 0 is constant
    masks[1][:, 1] = False  # nobody asks node 1
    masks[2][0, 1] = False
    closed = close(masks)
    assert [mask.int().tolist() for mask in closed] == [[[0, 0], [0, 0], [1, 1]], [[0, 0, 1], [0, 0, 0]], [[1, 0]]]


def test_additive_networks_lose_their_hidden_layer(fitted):
    net, x, y = fitted([3, 4, 1], lambda x: torch.sin(3 * x[:, :1]) + x[:, 2:] ** 2, noise=0.02)
    report = fk.prune(net, x, y)
    assert (report.widths_after, report.removed_inputs, report.after.edges) == ((3, 1), (1,), 2)
    assert "1 layer removed" in str(report) and "inputs gone x2" in str(report)
    kept = fk.prune(net, x, y, layers=False)
    assert len(kept.widths_after) == 3


def test_products_keep_their_hidden_layer(fitted):
    net, x, y = fitted([2, 4, 1], lambda x: x[:, :1] * x[:, 1:], steps=150)
    report = fk.prune(net, x, y)
    assert len(report.widths_after) == 3
    assert report.removed_inputs == ()
    assert report.loss_after < 2e-3 * float(y.var())


def test_the_network_given_is_left_as_it_was(fitted):
    net, x, y = fitted([3, 4, 1], lambda x: x[:, :1] ** 2, noise=0.05)
    net.train()
    state = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    first, second = fk.prune(net, x, y), fk.prune(net, x, y)
    assert net.training and all(torch.equal(tensor, net.state_dict()[name]) for name, tensor in state.items())
    assert str(first) == str(second)
    assert not first.net.training


def test_logits_lose_what_plays_no_part_and_the_allowance_is_that_of_the_best_constant_logit(fitted):
    net, x, y = fitted([3, 3, 1], lambda x: 3 * torch.sin(3 * x[:, :1]) + x[:, 1:2], noise=0.0)
    p = torch.sigmoid(y)
    report = fk.prune(net, x, p, loss="logistic", validation=(x, p), tolerance=0.01)
    assert report.removed_inputs == (2,)
    best = torch.nn.functional.binary_cross_entropy(p.mean().expand_as(p), p)
    assert report.loss_allowed == pytest.approx(report.loss_before + 0.01 * (float(best) - report.loss_before))
    assert "inputs gone c" in report.text(["a", "b", "c"]) and "inputs gone x3" in str(report)


def test_what_may_be_removed_is_chosen(fitted):
    net, x, y = fitted([3, 4, 1], lambda x: x[:, :1] ** 2, noise=0.05)
    whole = fk.prune(net, x, y, edges=False, layers=False)
    assert all(layer.mask is None for layer in whole.net.kan_layers())
    assert whole.removed_inputs == (1, 2)
    none = fk.prune(net, x, y, inputs=False, nodes=False, edges=False, layers=False)
    assert none.after.edges == none.before.edges
    torch.testing.assert_close(none.net(x), net.eval()(x))


def test_no_tolerance_costs_nothing(fitted):
    net, x, y = fitted([4, 4, 1], lambda x: x[:, :1] ** 2, noise=0.1)
    report = fk.prune(net, x, y, tolerance=0.0)
    assert report.loss_after <= report.loss_before


def test_everything_may_go():
    net, x = fk.KAN([3, 2, 1], norm=None), torch.rand(100, 3)
    report = fk.prune(net, x, torch.randn(100), tolerance=1.0)
    assert report.after.edges == 0
    assert report.net(x).std() == 0
    assert fk.prune(net, x, torch.randn(100), tolerance=1.0, keep=0.5).after.edges >= 4


def test_refit_goes_further_and_masks_hold(fitted, train):
    net, x, y = fitted([3, 6, 1], lambda x: torch.sin(2 * x[:, :1] + x[:, 1:2]), rows=300, noise=0.05, steps=30)
    calls = []

    def refit(small):
        calls.append(small)
        train(small, x, y, 30)

    plain, trained = fk.prune(net, x, y), fk.prune(net, x, y, refit=refit, rounds=4)
    assert len(calls) >= 2
    assert trained.after.edges <= plain.after.edges
    assert trained.loss_after <= trained.loss_allowed
    for layer in trained.net.kan_layers():
        if layer.mask is not None:
            assert layer.weight[~layer.mask].abs().sum() == 0


def test_a_refit_that_spoils_the_network_is_not_kept(fitted):
    net, x, y = fitted([3, 4, 1], lambda x: x[:, :1] ** 2, noise=0.05)

    def spoil(small):
        with torch.no_grad():
            for parameter in small.parameters():
                parameter.fill_(9.0)

    spoiled, plain = fk.prune(net, x, y, refit=spoil), fk.prune(net, x, y, rounds=1)
    assert (spoiled.after, spoiled.loss_after) == (plain.after, plain.loss_after)


@pytest.mark.parametrize("edges", [True, False], ids=["edges", "nodes-only"])
def test_classifiers_of_many_inputs_become_smaller(edges):
    """64 columns of which three decide; a wide network with LayerNorm loses nine tenths of its edges."""
    x = torch.randn(1500, 64)
    label = (x[:, 3] > 0).long() + 2 * (x[:, 10] + x[:, 30] > 0).long()
    net = fk.FasterKAN([64, 32, 4])

    def refit(model, epochs=4):
        optimizer = torch.optim.AdamW(fk.param_groups(model, lr=1e-2))
        model.train()
        for rows in torch.cat([torch.randperm(1200) for _ in range(epochs)]).split(100):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x[rows]), label[rows]).backward()
            optimizer.step()
        model.eval()

    refit(net, 10)
    held = (x[1200:], label[1200:])
    report = fk.prune(
        net,
        x[:1200],
        label[:1200],
        validation=held,
        loss="error",
        tolerance=0.02,
        keep=0.1,
        refit=refit,
        rounds=3,
        edges=edges,
    )
    assert report.after.edges <= 0.12 * report.before.edges
    assert report.loss_after <= report.loss_allowed
    assert {3, 10, 30}.isdisjoint(report.removed_inputs)
    assert report.after.parameters < (0.6 if edges else 0.15) * report.before.parameters


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"net": torch.nn.Linear(3, 1)}, TypeError, "net must be a KAN, got Linear"),
        ({"net": fk.KAN([3, 1], norm="batch_range")}, ValueError, "cannot be made smaller"),
        ({"net": fk.KAN([3, 1], norm=None, after="batchnorm")}, ValueError, "after=None"),
        ({"tolerance": 2}, ValueError, "tolerance must be within 0 ... 1, got 2"),
        ({"keep": -0.1}, ValueError, "keep must be within 0 ... 1"),
        ({"rounds": 0}, ValueError, "rounds must be at least 1"),
        ({"validation": 1.0}, ValueError, r"share within 0 ... 1, or a pair \(X, y\), got 1.0"),
        ({"loss": "rmse"}, ValueError, "\"error\", \"logistic\" or loss.*got 'rmse'"),
        ({"loss": "logistic", "y": 2 * torch.ones(30)}, ValueError, "floating-point targets within 0 ... 1"),
        ({"loss": "error"}, ValueError, "share of wrong labels, y holds torch.float32"),
        ({"y": torch.rand(30, 2)}, ValueError, r"y is torch.float32 \[30, 2\], expected floating-point \[30, 1\]"),
        ({"y": torch.full((30,), float("inf"))}, ValueError, "y holds NaN or infinity"),
        ({"y": torch.arange(30)}, ValueError, "labels run from 0 to 29, the network has 1 outputs"),
        ({"y": torch.zeros(29, dtype=torch.int64)}, ValueError, r"expected labels \[30\]"),
        ({"X": torch.full((30, 3), float("nan"))}, ValueError, "30 of 30 rows of X hold NaN"),
        ({"X": torch.rand(3, 3), "y": torch.rand(3), "validation": 0.5}, ValueError, "at least 4"),
    ],
    ids=[
        "module", "batch-range", "after", "tolerance", "keep", "rounds", "validation", "loss", "logistic",
        "error-of-numbers", "targets", "infinite", "labels", "short", "nan", "few-rows",
    ],
)  # fmt: skip
def test_bad_calls(change, error, words):
    arguments = {"net": fk.KAN([3, 1], norm=None), "X": torch.rand(30, 3), "y": torch.rand(30), **change}
    with pytest.raises(error, match=words):
        fk.prune(arguments.pop("net"), arguments.pop("X"), arguments.pop("y"), **arguments)


def test_a_network_that_is_not_finite_is_refused():
    net = fk.KAN([3, 1], norm=None)
    with torch.no_grad():
        net.layers[0].weight[0, 0, 0] = float("nan")
    with pytest.raises(ValueError, match=r"the loss of net is .*fk\.diagnose"):
        fk.prune(net, torch.rand(30, 3), torch.rand(30))
