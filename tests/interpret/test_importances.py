"""Importances against planted truths, and against their own definition."""

from __future__ import annotations

import pytest
import torch

import fasterkan as fk

from ..seeds import seed_of


def additive(coefficients):
    """x -> sum_i c_i g_i(x_i), and x -> the variance of each term."""
    shapes = (lambda x: torch.sin(2.5 * x), torch.square, lambda x: x, lambda x: torch.exp(x), torch.abs, torch.tanh)

    def terms(x):
        return torch.stack([c * g(x[:, i]) for i, (c, g) in enumerate(zip(coefficients, shapes, strict=True))], 1)

    return lambda x: terms(x).sum(1, keepdim=True), lambda x: terms(x).var(0)


@pytest.mark.parametrize("method", ["shuffle", "gradient"])
@pytest.mark.parametrize("widths", [[6, 1], [6, 4, 1]], ids=["one-layer", "hidden"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_importances_agree_with_planted_additive_truths(fitted, method, widths, seed):
    torch.manual_seed(seed_of(seed))
    function, variances_of = additive(torch.rand(6).tolist())
    net, x, _ = fitted(widths, function, noise=0.02)
    found, variances = fk.importance(net, x, method=method), variances_of(x)
    clearly = variances.unsqueeze(1) > 1.2 * variances  # others may change places
    assert (found.inputs.unsqueeze(1) > found.inputs)[clearly].all()
    if widths == [6, 1]:
        torch.testing.assert_close(found.inputs, variances / variances.sum(), rtol=0.2, atol=0.01)


@pytest.mark.parametrize("method", ["shuffle", "gradient"])
def test_an_edge_of_an_additive_network_is_worth_its_variance(method):
    net, x = fk.KAN([4, 1], norm=None, dtype=torch.float64), torch.rand(4000, 4, dtype=torch.float64)
    variances = torch.stack([edge(x[:, edge.input]).var() for edge in fk.edges(net, x)])
    found = fk.importance(net, x, method=method, repeats=20)
    whole = net(x).detach().var()
    torch.testing.assert_close(found.edges[0][0], variances / whole, rtol=0.02, atol=1e-3)
    torch.testing.assert_close(found.inputs, found.edges[0][0], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(found.shares[0][0], variances / variances.sum(), rtol=1e-3, atol=1e-6)


def test_shuffling_is_what_it_says():
    """T of an input is half the mean squared change of the outputs when its column is shuffled, over their variance."""
    net, x = fk.KAN([3, 4, 2], norm=None, dtype=torch.float64), torch.rand(2000, 3, dtype=torch.float64)
    found = fk.importance(net, x, method="shuffle", repeats=30)
    y = net(x).detach()
    for i in range(3):
        changes = []
        for _ in range(30):
            other = x.clone()
            other[:, i] = x[torch.randperm(len(x)), i]
            changes.append(((net(other).detach() - y).square().mean(0) / y.var(0)).mean() / 2)
        assert float(found.inputs[i]) == pytest.approx(float(torch.stack(changes).mean()), rel=0.05)


def test_gradients_agree_with_shuffling_where_the_rest_is_linear():
    """Behind the first layer there are straight lines only, so the gradients' answer is exact."""
    net, x = fk.KAN([3, 4, 2], norm=None, base="identity", dtype=torch.float64), torch.rand(1000, 3).double()
    with torch.no_grad():
        net.layers[1].weight.zero_()
    shuffled, linear = (fk.importance(net, x, method=m, repeats=50) for m in ("shuffle", "gradient"))
    for a, b in ((shuffled.nodes[0], linear.nodes[0]), (shuffled.edges[0], linear.edges[0])):
        torch.testing.assert_close(a, b, rtol=0.05, atol=1e-4)


@pytest.mark.parametrize("norm", ["layer", "rms", "feature", None])
@pytest.mark.parametrize("basis", [fk.RSWAF(5), fk.Wavelet("mexican_hat")], ids=["rswaf", "wavelet"])
def test_every_norm_and_basis_is_served(norm, basis):
    net, x = fk.KAN([5, 4, 3], basis, norm=norm), torch.randn(100, 5)
    if norm == "feature":
        net.calibrate(x)
    for method in ("shuffle", "gradient"):
        found = fk.importance(net, x, method=method)
        assert [tuple(t.shape) for t in found.edges] == [(4, 5), (3, 4)]
        assert all(bool(((t >= 0) & torch.isfinite(t)).all()) for t in (*found.edges, *found.nodes))
        assert [float(t.sum()) for t in found.additive] == pytest.approx([1, 1])


def test_what_plays_no_part_is_worth_nothing():
    net, x = fk.KAN([4, 3, 1], norm=None), torch.rand(200, 4)
    mask = torch.ones(3, 4, dtype=torch.bool)
    mask[:, 2] = False
    net.layers[0].set_mask(mask)
    for method in ("shuffle", "gradient"):
        found = fk.importance(net, x, method=method)
        assert found.inputs[2] == 0 == found.edges[0][:, 2].sum()
        assert bool((found.inputs[[0, 1, 3]] > 0).all())


def test_constant_outputs_do_not_count():
    net, x = fk.KAN([3, 2], norm=None), torch.rand(200, 3)
    with torch.no_grad():
        net.layers[0].weight[1] = 0
    found = fk.importance(net, x)
    assert found.edges[0][1].sum() == 0
    assert found.edges[0][0].sum() == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("method", ["shuffle", "gradient"])
@pytest.mark.parametrize("size", [1e-300, 1e-160, 1e160, 1e300], ids=lambda size: f"{size:g}")
def test_outputs_of_any_size_share_out_alike(method, size):
    net, x = fk.KAN([3, 2, 2], norm=None, base="silu", dtype=torch.float64), torch.rand(100, 3, dtype=torch.float64)
    expected = fk.importance(net, x, method=method)
    with torch.no_grad():
        for parameter in net.layers[1].parameters():
            parameter[0].mul_(size)
    found = fk.importance(net, x, method=method)
    torch.testing.assert_close(found.inputs, expected.inputs, rtol=1e-9, atol=1e-12)
    for a, b in zip((*found.edges, *found.additive), (*expected.edges, *expected.additive), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("method", ["shuffle", "gradient"])
@pytest.mark.parametrize("size", [1.0, 1e200], ids=["small", "huge"])
def test_where_no_output_varies_all_is_zero_and_says_so(method, size):
    net, x = fk.KAN([3, 2, 1], norm=None, dtype=torch.float64), torch.rand(50, 3)
    with torch.no_grad():
        net.layers[1].weight.zero_()
        net.layers[1].bias.fill_(size)
    found = fk.importance(net, x, method=method)
    assert not any(float(t.abs().sum()) for t in (found.inputs, *found.nodes, *found.edges, *found.additive))
    assert "no output varies over X" in found.note and found.note in str(found)
    assert not fk.importance(fk.KAN([3, 1], norm=None), x).note


class Shifted(fk.KAN):
    """A network whose edges are not all of it."""

    def forward(self, x):
        return super().forward(x) + x[..., :1]


def test_lists_and_reversed_arrays_are_rows_too():
    net, x = fk.KAN([3, 1], norm=None), torch.rand(50, 3)
    expected = fk.importance(net, x).inputs
    for rows in (x.tolist(), x.flip(0).numpy()[::-1], x.numpy().astype(">f4")):
        assert torch.equal(fk.importance(net, rows).inputs, expected)


def test_many_outputs_are_looked_at_by_random_sums():
    net, x = fk.KAN([6, 50], norm=None, dtype=torch.float64), torch.rand(500, 6, dtype=torch.float64)
    exact = fk.importance(net, x, method="shuffle", repeats=20).inputs
    found = torch.stack([fk.importance(net, x, method="gradient", seed=seed).inputs for seed in range(16)])
    # 32 sums of squares err by a quarter, the root of 2 / 32; the mean of 16 by a sixteenth.
    torch.testing.assert_close(found.mean(0), exact, rtol=0.3, atol=0.01)
    assert (found.std(0) / exact).max() < 0.5


def test_the_network_is_left_as_it_was_and_the_result_repeats():
    net, x = fk.KAN([3, 4, 1]).train(), torch.randn(100, 3)
    state = {k: v.clone() for k, v in net.state_dict().items()}
    random = torch.get_rng_state()
    first, second = fk.importance(net, x), fk.importance(net, x)
    assert torch.equal(first.inputs, second.inputs)
    assert net.training and all(torch.equal(v, net.state_dict()[k]) for k, v in state.items())
    assert torch.equal(random, torch.get_rng_state())
    assert all(p.grad is None for p in net.parameters())


def test_a_table_of_the_inputs():
    net, x = fk.KAN([3, 1], norm=None), torch.rand(100, 3)
    found = fk.importance(net, x)
    assert [name for name, _ in found.ranking(["a", "b", "c"])] == [
        "abc"[i] for i in sorted(range(3), key=lambda i: -float(found.inputs[i]))
    ]
    assert len(str(found).splitlines()) == 4


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda n, x: fk.importance(n, x, method="guess"),
            ValueError,
            '"auto", "shuffle" or "gradient", got \'guess\'',
        ),
        (lambda n, x: fk.importance(n, x, repeats=0), ValueError, "repeats must be at least 1"),
        (lambda n, x: fk.importance(n, x[:, :2]), ValueError, r"X is \[50, 2\], expected \[rows, 3\]"),
        (lambda n, x: fk.importance(Shifted([3, 1], norm=None), x), TypeError, "Shifted has its own forward"),
        (lambda n, x: fk.importance(n, x.to(torch.complex64)), TypeError, "X is torch.complex64; give real and"),
        (lambda n, x: fk.importance(torch.nn.ReLU(), x), TypeError, "got ReLU"),
        (lambda n, x: fk.importance(n, x).ranking(["a"]), ValueError, "1 names for 3 columns"),
    ],
    ids=["method", "repeats", "width", "forward", "complex", "module", "names"],
)
def test_bad_calls(call, error, words):
    with pytest.raises(error, match=words):
        call(fk.KAN([3, 1], norm=None), torch.rand(50, 3))


@pytest.mark.parametrize("rows", [2, 3, 10])
def test_no_row_keeps_its_own_value_when_shuffled(rows):
    net = fk.KAN([2, 2, 1], norm=None, dtype=torch.float64)
    x = torch.arange(2.0 * rows, dtype=torch.float64).reshape(rows, 2) / rows
    moved = []
    hook = net.layers[1].register_forward_pre_hook(lambda module, args: moved.append(args[0]))
    fk.importance(net, x, method="shuffle", repeats=3)
    hook.remove()
    first, *changed = moved
    # each changed input of the last layer differs in every row: a shuffle left no value where it was
    assert len(changed) > 0
    for each in changed:
        assert (each - first).abs().amax(1).min() > 1e-12
