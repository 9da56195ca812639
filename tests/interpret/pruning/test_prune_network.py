"""Pruning: what goes, what stays, and that the rest is what it was."""

from __future__ import annotations

import pytest
import torch

import fasterkan as fk
from fasterkan.interpret.pruning import prune_network
from fasterkan.interpret.pruning.compact import compact, with_biases
from fasterkan.interpret.pruning.loss import criterion_of
from fasterkan.interpret.pruning.masks import Masked, close, full_masks, means_of
from fasterkan.interpret.pruning.residuals import Residuals

from ...seeds import seed_of

TERMS = (lambda x: torch.sin(3 * x), torch.square, torch.tanh, lambda x: x)


@pytest.mark.parametrize("seed", range(10))
def test_inputs_that_play_no_part_are_found_and_no_other(fitted, seed):
    """Five columns, two of them idle; the others explain different shares of y, the least 2 % or more."""
    torch.manual_seed(seed_of(seed))
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
    assert report.loss_after < 2e-3  # in shares of the variance


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
    assert report.removed_inputs == (0, 1, 2)
    assert "inputs gone x1, x2, x3" in str(report) and "[3, 2, 1] -> [0, " in str(report)
    again = fk.prune(report.net, x, torch.randn(100), tolerance=1.0)
    assert again.removed_inputs == () and "inputs gone none" in str(again)
    y = report.net(x)
    torch.testing.assert_close(y, y[:1].expand_as(y))  # the same sum for every row, though not always in the same order
    assert fk.prune(net, x, torch.randn(100), tolerance=1.0, keep=0.5).after.edges >= 4


def test_a_second_prune_that_changes_nothing_says_so(fitted):
    net, x, y = fitted([3, 4, 1], lambda x: x[:, :1] ** 2, noise=0.05)
    first = fk.prune(net, x, y)
    second = fk.prune(first.net, x, y)
    left = str([1, *first.widths_after[1:]])
    assert str(first).splitlines()[0].startswith(f"widths      [3, 4, 1] -> {left}")
    assert str(second).splitlines()[0] == f"widths      {left} -> {left}"


def test_torchs_own_random_numbers_are_left_alone(fitted):
    net, x, y = fitted([3, 4, 1], lambda x: x[:, :1] ** 2, noise=0.05)
    state = torch.get_rng_state()
    assert fk.prune(net, x, y).widths_after == (3, 1)  # a merged layer too
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("factor", [1e-6, 1.0, 1e6, 1e160], ids=lambda factor: f"{factor:g}")
@pytest.mark.parametrize("held", [False, True], ids=["seen", "held-out"])
def test_an_output_of_small_numbers_is_as_safe_as_one_of_large_numbers(fitted, factor, held):
    net, x, y = fitted([3, 2], lambda x: torch.cat([torch.sin(3 * x[:, :1]), x[:, 1:2] ** 2], 1), noise=0.01)
    size = torch.tensor([1.0, factor], dtype=torch.float64)
    y = y * size
    with torch.no_grad():
        for parameter in net.parameters():
            parameter[1].mul_(factor)
    report = fk.prune(net, x, y, validation=(x, y) if held else None)
    assert report.removed_inputs == (2,) and report.after.edges == 2
    error = ((report.net(x).detach() - y) / size).square().mean(0) / (y / size).var(0)
    assert bool((error < 5e-3).all())
    assert report.loss_after == pytest.approx(float(error.mean()), rel=0.2)


def test_a_constant_target_beside_another_does_not_keep_the_network(fitted):
    net, x, y = fitted([3, 3, 2], lambda x: torch.cat([torch.sin(3 * x[:, :1]), 0 * x[:, :1] + 5], 1))
    report = fk.prune(net, x, y)
    assert report.removed_inputs == (1, 2)
    assert not bool(report.net.kan_layers()[-1].mask[1].any())
    torch.testing.assert_close(report.net(x)[:, 1], y[:, 1], rtol=1e-2, atol=0)


def test_a_huber_fit_is_pruned_by_its_own_loss():
    """A twentieth of the rows is far off; the squared error sees nothing but them."""
    generator = torch.Generator().manual_seed(seed_of(0))
    x = torch.rand(400, 3, dtype=torch.float64, generator=generator) * 2 - 1
    truth = torch.sin(3 * x[:, 0]) + x[:, 1] ** 2
    y = truth.clone()
    y[::20] += 200
    net = fk.KAN([3, 2, 1], fk.BSpline(4), norm="feature", base="silu", dtype=torch.float64, generator=generator)
    fk.fit(net, x, truth, starts=2, iterations=20, grids=None, progress=False)

    def refit(small):
        fk.fit(small, x, y, starts=0, loss="huber", delta=0.2, iterations=20, progress=False)

    for options in ({}, {"delta": 0.2}, {"delta": 0.2, "refit": refit, "rounds": 1}):
        report = fk.prune(net, x, y, loss="huber", **options)
        assert report.removed_inputs == (2,), options
        assert float((report.net(x).detach()[:, 0] - truth).square().mean()) < 0.02 * float(truth.var())
    assert fk.prune(net, x, y).after.edges == 0


def test_hubers_loss_lies_between_the_squares_and_the_best_constant_is_its_own():
    y, outputs = torch.randn(200, 2).double() ** 3, torch.randn(200, 2).double()
    for delta in (0.1, 1.0, 1e9):
        found = Residuals.of(y, delta)
        huber = torch.nn.functional.huber_loss(outputs, y, delta=delta, reduction="none").mean(0)
        torch.testing.assert_close(found(outputs, y), 2 * huber / y.var(0, correction=0))
        middle = found.middle(y)
        for step in (-1e-3, 1e-3):
            assert bool((found(middle.expand_as(y), y) <= found((middle + step).expand_as(y), y) + 1e-12).all())
    default = criterion_of("huber", None, y)(outputs, y)
    scale = torch.tensor([1e-6, 1e6], dtype=torch.float64)
    torch.testing.assert_close(criterion_of("huber", None, y * scale)(outputs * scale, y * scale), default)
    one = y[:, :1]
    delta = float(one.quantile(0.75) - one.quantile(0.25)) / 10
    torch.testing.assert_close(
        criterion_of("huber", None, one)(outputs[:, :1], one), criterion_of("huber", delta, one)(outputs[:, :1], one)
    )
    squared = Residuals.of(y)
    torch.testing.assert_close(squared(outputs, y), found(outputs, y))
    torch.testing.assert_close(squared.optimism(outputs, y), squared(outputs, y))
    assert squared.middle(y).tolist() == pytest.approx(y.mean(0).tolist())


def test_layers_with_bases_of_their_own_are_pruned(tmp_path):
    x = torch.rand(300, 3, dtype=torch.float64) * 2 - 1
    net = fk.KAN([3, 3, 1], fk.BSpline(4), norm="feature", base="silu", dtype=torch.float64)
    net.calibrate(x)
    net.layers[1].refine(7)
    masks = full_masks(net)
    masks[0][:, 1] = False
    masked, small = pruned_by_hand(net, x, masks)
    torch.testing.assert_close(small(x), masked(x), rtol=1e-9, atol=1e-9)
    small.save_pretrained(tmp_path)
    assert torch.equal(fk.from_pretrained(tmp_path)(x), small(x))


def test_a_network_that_was_fitted_as_a_part_of_another_is_pruned():
    """The fit changes the grid of its layers, and knows nothing of the description that the network was made of."""
    x = torch.rand(300, 3, dtype=torch.float64) * 2 - 1
    net = fk.KAN([3, 2, 1], fk.BSpline(12), norm="feature", base="silu", dtype=torch.float64)
    whole, y = torch.nn.Sequential(net), torch.sin(2 * x[:, 0])
    fk.fit(whole, x, y, starts=1, iterations=10, grids=(3, 6), progress=False)
    assert fk.prune(net, x, y).removed_inputs == (1, 2)


@pytest.mark.parametrize("kind", [torch.int64, torch.bool], ids=["whole", "boolean"])
def test_logits_of_labels_are_pruned_as_those_of_probabilities(fitted, kind):
    net, x, y = fitted([3, 1], lambda x: 3 * x[:, :1])
    label = (y > 0)[:, 0]
    expected = fk.prune(net, x, label.double(), loss="logistic")
    assert expected.removed_inputs == (1, 2)
    assert str(fk.prune(net, x, label.to(kind), loss="logistic")) == str(expected)


def test_lists_and_reversed_arrays_are_tables_too(fitted):
    net, x, y = fitted([3, 1], lambda x: x[:, :1] ** 2, noise=0.05)
    expected = str(fk.prune(net, x, y))
    assert str(fk.prune(net, x.tolist(), y.tolist())) == expected
    assert str(fk.prune(net, x.flip(0).numpy()[::-1], y.flip(0).numpy()[::-1])) == expected


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
    if edges:  # a pruned edge keeps its place in the dense weights until a node at one of its ends has no edge
        layers = report.net.kan_layers()
        masks = [torch.ones(layer.weight.shape[:2]) > 0 if layer.mask is None else layer.mask for layer in layers]
        assert all(mask.any(0).all() for mask in masks) and all(mask.any(1).all() for mask in masks[:-1])
        assert report.after.parameters == sum(p.numel() for p in report.net.parameters())
        assert report.after.parameters < report.before.parameters
    else:  # 0.12 of the edges with all their weights, and the norms, which have 1 % of the parameters
        assert report.after.parameters < 0.15 * report.before.parameters


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
        ({"loss": "logistic", "y": 2 * torch.ones(30)}, ValueError, "needs targets within 0 ... 1"),
        ({"delta": 1.0}, ValueError, "delta belongs to loss=\"huber\", but the loss is 'auto'"),
        ({"loss": "huber", "delta": 0.0}, ValueError, "delta must be"),
        ({"net": type("Own", (fk.KAN,), {"forward": torch.neg})([3, 1])}, TypeError, "Own has its own forward"),
        ({"loss": "error"}, ValueError, "share of wrong labels, y holds torch.float32"),
        ({"y": torch.rand(30, 2)}, ValueError, r"y is torch.float32 \[30, 2\], expected floating-point \[30, 1\]"),
        ({"y": torch.full((30,), float("inf"))}, ValueError, "y is inf in row 0, column 0 and 29 more"),
        ({"y": torch.arange(30), "loss": "error"}, ValueError, "labels run from 0 to 29, the network has 1 outputs"),
        ({"y": torch.zeros(29, dtype=torch.int64), "loss": "error"}, ValueError, r"expected labels \[30\]"),
        ({"X": torch.full((30, 3), float("nan"))}, ValueError, "X is nan in row 0, column 0 and 89 more"),
        ({"X": torch.rand(3, 3), "y": torch.rand(3), "validation": 0.5}, ValueError, "at least 4"),
    ],
    ids=[
        "module", "batch-range", "after", "tolerance", "keep", "rounds", "validation", "loss", "logistic",
        "delta", "delta-zero", "forward", "error-of-numbers", "targets", "infinite", "labels", "short",
        "nan", "few-rows",
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


def test_rounds_with_a_refit_go_to_the_goal_in_equal_ratios(monkeypatch):
    monkeypatch.setattr(prune_network.PruningSearch, "allowed", lambda search, net, least: net)  # nothing is free
    torch.manual_seed(seed_of(0))
    net, x = fk.KAN([4, 8, 1], norm=None), torch.randn(100, 4)
    sizes = []
    report = fk.prune(
        net, x, net(x).detach(), tolerance=1.0, keep=0.25, rounds=2, nodes=False, inputs=False, layers=False,
        validation=(x, net(x).detach()), refit=lambda smaller: sizes.append(fk.interpret.size_of(smaller).edges),
        loss=lambda outputs, y: outputs.sum() * 0,
    )  # fmt: skip
    assert 10 < sizes[0] <= 20, "of 40 edges first half"
    assert sizes[1] == report.after.edges <= 10, "then a quarter"
    assert "net=" not in repr(report)


def test_what_is_free_is_looked_for_once_in_wide_networks(monkeypatch):
    torch.manual_seed(seed_of(0))
    net, x = fk.KAN([4, 8, 1], norm=None), torch.randn(100, 4)
    own, called = prune_network.PruningSearch.allowed, []
    monkeypatch.setattr(prune_network, "SINGLES", 0)
    monkeypatch.setattr(
        prune_network.PruningSearch, "allowed", lambda search, *rest: called.append(rest) or own(search, *rest)
    )
    y = net(x).detach()
    fk.prune(net, x, y, tolerance=1e-9, keep=0.1, rounds=2, refit=lambda small: small, validation=(x, y), layers=False,
             inputs=False, nodes=False, loss=lambda outputs, y: outputs.sum() * 0)  # fmt: skip
    assert len(called) == 1


@pytest.mark.parametrize(("more", "calls"), [(0, 2), (-1, 1)], ids=["at the limit", "above it"])
def test_the_limit_of_wide_networks_belongs_to_the_others(more, calls, monkeypatch):
    called = []
    monkeypatch.setattr(prune_network.PruningSearch, "allowed", lambda search, net, least: called.append(net) or net)

    def refit(small):
        monkeypatch.setattr(prune_network, "SINGLES", fk.interpret.size_of(small).edges + more)

    net, x = fk.KAN([4, 8, 1], norm=None), torch.randn(100, 4)
    y = net(x).detach()
    fk.prune(net, x, y, tolerance=1.0, keep=0.1, rounds=2, refit=refit, validation=(x, y), layers=False,
             inputs=False, nodes=False, loss=lambda outputs, y: outputs.sum() * 0)  # fmt: skip
    assert len(called) == calls
