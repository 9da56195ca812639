"""Importances against planted truths, closed forms, and their own definition."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

import fasterkan as fk
from fasterkan.interpret._shapley import explained_shares

from ..seeds import seed_of
from .known import network_of


def even_points(rows, columns, reach=1.0):
    """Points of a scrambled Sobol sequence in a cube of half width `reach`."""
    sequence = torch.quasirandom.SobolEngine(columns, scramble=True, seed=seed_of(0))
    return (2 * sequence.draw(rows, dtype=torch.float64) - 1) * reach


def additive(coefficients):
    """x -> sum_i c_i g_i(x_i), and x -> the Shapley shares of its terms on these rows."""
    shapes = (lambda x: torch.sin(2.5 * x), torch.square, lambda x: x, lambda x: torch.exp(x), torch.abs, torch.tanh)

    def terms(x):
        return torch.stack([c * g(x[:, i]) for i, (c, g) in enumerate(zip(coefficients, shapes, strict=True))], 1)

    return lambda x: terms(x).sum(1, keepdim=True), lambda x: shapley_shares(terms(x))


def shapley_shares(terms):
    """The Shapley values of v(S) = max over T in S of Var f - Var(f - sum_T), by Var f; on few rows terms correlate."""
    covariance, count = terms.double().t().cov(), terms.shape[1]
    sets = [torch.tensor([n >> i & 1 for i in range(count)], dtype=torch.float64) for n in range(2**count)]
    explained = [float(2 * t @ covariance.sum(1) - t @ covariance @ t) for t in sets]
    value = [max(explained[t] for t in range(s + 1) if t & s == t) for s in range(2**count)]
    shares = torch.zeros(count, dtype=torch.float64)
    for i in range(count):
        for s in (s for s in range(2**count) if not s >> i & 1):
            chosen = s.bit_count()
            weight = math.factorial(chosen) * math.factorial(count - chosen - 1) / math.factorial(count)
            shares[i] += weight * (value[s | 1 << i] - value[s])
    return shares / covariance.sum()


@pytest.mark.parametrize("method", ["shuffle", "gradient"])
@pytest.mark.parametrize("widths", [[6, 1], [6, 4, 1]], ids=["one-layer", "hidden"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_importances_agree_with_planted_additive_truths(fitted, method, widths, seed):
    torch.manual_seed(seed_of(seed))
    function, shares_of = additive(torch.rand(6).tolist())
    net, x, _ = fitted(widths, function, noise=0.02)
    found, shares, truth = fk.importance(net, x, method=method), shares_of(x), function(x)
    error = (net(x) - truth).square().mean().sqrt() / truth.std()  # moves the root of a share by no more than itself
    gap = shares.sqrt().unsqueeze(1) - shares.sqrt()
    clearly = (shares.unsqueeze(1) > 1.2 * shares) & (gap > 2 * error)  # others may change places
    assert clearly.any()
    assert (found.inputs.unsqueeze(1) > found.inputs)[clearly].all()
    if widths == [6, 1]:
        torch.testing.assert_close(found.inputs, shares, rtol=0.2, atol=0.01)


@pytest.mark.parametrize("method", ["shuffle", "gradient"])
def test_the_parts_of_an_additive_network_are_its_edges(method):
    net, x = fk.KAN([4, 1], norm=None, dtype=torch.float64), torch.rand(400, 4, dtype=torch.float64)
    x[:, 1] = x[:, 0] ** 2
    parts = torch.stack([edge(x[:, edge.input]) for edge in fk.edges(net, x)], 1)
    covariance = parts.t() @ parts / len(x)
    expected, _ = explained_shares(covariance, [], torch.Generator())
    found = fk.importance(net, x, method=method)
    torch.testing.assert_close(found.inputs, expected, rtol=1e-6, atol=1e-9)
    if method == "shuffle":
        torch.testing.assert_close(found.edges[0][0], expected, rtol=1e-6, atol=1e-9)
        torch.testing.assert_close(found.shares[0][0], expected, rtol=1e-6, atol=1e-9)
        torch.testing.assert_close(found.additive[0][0], expected, rtol=1e-6, atol=1e-9)


def test_the_parts_of_a_deep_network_are_shapley_values_of_its_function():
    """All other rows, all sets of nodes: the definition, computed by calling the network."""
    net, x = fk.KAN([3, 2, 2], norm=None, base="silu", dtype=torch.float64), torch.randn(12, 3, dtype=torch.float64)
    y = net(x).detach()
    parts = torch.zeros(12, 3, 2, dtype=torch.float64)
    for order in itertools.permutations(range(3)):
        mixed = x.expand(12, 12, 3).clone()  # [other, row, I]: first all values of the other row
        mixed[:] = x.unsqueeze(1)
        before = net(mixed).detach()
        for new in order:
            mixed[..., new] = x[:, new]
            after = net(mixed).detach()
            parts[:, new] += (after - before).mean(0) / 6
            before = after
    torch.testing.assert_close(parts.sum(1), y - y.mean(0))
    scaled = (parts - parts.mean(0)) / (2 * y.var(0, correction=0)).sqrt()
    expected, _ = explained_shares(torch.einsum("nic,njc->ij", scaled, scaled) / 12, [], torch.Generator())
    found = fk.importance(net, x, repeats=12)
    torch.testing.assert_close(found.inputs, expected, rtol=1e-9, atol=1e-12)
    hidden = torch.stack([e(net.layers[0](x)[:, e.input]) for e in fk.edges(net, x) if e.layer == 1]).view(2, 2, -1)
    scaled = hidden.detach() / (2 * y.var(0, correction=0)).sqrt().view(2, 1, 1)  # [O, I, N]
    expected, _ = explained_shares(torch.einsum("oin,ojn->ij", scaled, scaled) / 12, [], torch.Generator())
    torch.testing.assert_close(found.nodes[1], expected, rtol=1e-9, atol=1e-12)


def test_products_and_sums_of_independent_inputs_have_their_shapley_effects():
    """y = x1 x2 + b x1 + c x3^2 on [-1, 1]^3: the variance of x1 x2 is 1/9, half of it for each."""
    b, c = 0.5, 0.8
    first = {(0, 0): lambda t: t, (0, 1): lambda t: t, (1, 0): lambda t: t, (1, 1): lambda t: -t}
    first |= {(2, 0): lambda t: b * t, (2, 2): lambda t: c * t * t}
    second = {(0, 0): lambda t: t * t / 4, (0, 1): lambda t: -t * t / 4, (0, 2): lambda t: t}
    net, x = network_of([3, 3, 1], [1, 2], first, second), even_points(2048, 3)
    effects = torch.tensor([b * b / 3 + 1 / 18, 1 / 18, c * c * 4 / 45], dtype=torch.float64)
    found = fk.importance(net, x)
    assert bool(((found.inputs - effects / effects.sum()).abs() <= 5 * found.errors + 0.005).all())
    assert float(found.errors.max()) < 0.06, "32 other rows: the mean of x2 is known to 0.1"


def test_the_ishigami_function_has_its_shapley_effects():
    """sin x1 + a sin^2 x2 + b x3^4 sin x1 on [-pi, pi]^3 (Ishigami and Homma, 1990)."""
    a, b, k = 7.0, 0.1, 0.05
    first = {(0, 0): torch.sin, (0, 2): lambda t: k * t**4, (1, 0): torch.sin, (1, 2): lambda t: -k * t**4}
    first |= {(2, 0): torch.sin, (2, 1): lambda t: a * torch.sin(t) ** 2}
    second = {(0, 0): lambda t: b / (4 * k) * t * t, (0, 1): lambda t: -b / (4 * k) * t * t, (0, 2): lambda t: t}
    net, x = network_of([3, 3, 1], [math.pi, 8.5], first, second), even_points(1024, 3, math.pi)
    truth = torch.sin(x[:, 0]) * (1 + b * x[:, 2] ** 4) + a * torch.sin(x[:, 1]) ** 2
    torch.testing.assert_close(net(x)[:, 0].detach(), truth, rtol=1e-3, atol=1e-3)
    together = b**2 * math.pi**8 * (1 / 18 - 1 / 50)
    effects = torch.tensor([(1 + b * math.pi**4 / 5) ** 2 / 2 + together / 2, a * a / 8, together / 2])
    found = fk.importance(net, x, repeats=128)
    assert bool(((found.inputs - (effects / effects.sum())).abs() <= 5 * found.errors + 0.005).all())
    assert float(found.errors.max()) < 0.05


@pytest.mark.parametrize("method", ["shuffle", "gradient"])
@pytest.mark.parametrize("widths", [[3, 1], [3, 4, 1]], ids=["one-layer", "hidden"])
def test_two_equal_columns_share_equally(method, widths):
    net, x = fk.KAN(widths, norm=None, dtype=torch.float64), torch.rand(200, 3, dtype=torch.float64) * 2 - 1
    x[:, 1] = x[:, 0]
    with torch.no_grad():
        net.layers[0].weight[:, 1] = net.layers[0].weight[:, 0]
    found = fk.importance(net, x, method=method)
    assert bool(((found.inputs[0] - found.inputs[1]).abs() <= 5 * found.errors[:2].sum() + 1e-9).all())
    assert float(found.inputs.sum()) == pytest.approx(1)


def test_collinear_columns_of_a_fit_have_shares_and_are_named():
    """The fit may put large opposite functions on two nearly equal columns; covariances alone would go astray."""
    x = torch.rand(300, 3, dtype=torch.float64) * 2 - 1
    x[:, 1] = x[:, 0] + 0.01 * x[:, 1]
    first = {(0, 0): lambda t: 20 * t, (0, 1): lambda t: -19 * t, (0, 2): torch.sin}
    net = network_of([3, 1], [1.1], first)
    net.set_names(["s1", "s2", "bmi"])
    found = fk.importance(net, x)
    assert float(found.inputs.min()) >= 0 and float(found.inputs.sum()) == pytest.approx(1)
    (group,) = found.cancelling
    assert (group.layer, group.nodes) == (0, (0, 1)) and min(group.parts) > 100
    assert group.share == pytest.approx(float(found.inputs[:2].sum())) and 0.3 < group.share < 0.8
    assert float(found.inputs[0]) == pytest.approx(float(found.inputs[1]), rel=0.01)
    line = str(found).splitlines()[-1]
    assert line.startswith("s1 and s2 cancel: their parts are ") and line.endswith(f"{100 * group.share:.2f} %")


def test_hidden_nodes_that_cancel_have_a_small_share_and_are_named():
    first = {(0, 0): lambda t: 5 * t, (1, 0): lambda t: 5 * t, (2, 1): torch.sin, (1, 1): lambda t: 0.1 * t}
    second = {(0, 0): lambda t: 3 * t, (0, 1): lambda t: -3 * t, (0, 2): lambda t: t}
    net, x = network_of([2, 3, 1], [1, 6], first, second), torch.rand(300, 2, dtype=torch.float64) * 2 - 1
    found = fk.importance(net, x)
    (group,) = found.cancelling
    assert (group.layer, group.nodes) == (1, (0, 1)) and min(group.parts) > 50
    assert "h1.1 and h1.2 cancel" in str(found)
    effect = float((0.3 * x[:, 1]).var() / net(x).detach().var())
    assert group.share == pytest.approx(float(found.nodes[1][:2].sum())) and group.share < 6 * effect**0.5
    assert float(found.inputs[0]) < 1e-6, "the outputs do not depend on x1"
    assert float(found.nodes[1].sum()) == pytest.approx(1) and float(found.edges[0].sum()) == pytest.approx(1)


def test_gradients_agree_with_shuffling_where_the_rest_is_linear():
    """Behind the first layer there are straight lines only, so the gradients' answer is exact."""
    net, x = fk.KAN([3, 4, 2], norm=None, base="identity", dtype=torch.float64), torch.rand(300, 3).double()
    with torch.no_grad():
        net.layers[1].weight.zero_()
    shuffled, linear = (fk.importance(net, x, method=m) for m in ("shuffle", "gradient"))
    for a, b in zip(shuffled.nodes, linear.nodes, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-9)


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
        assert found.inputs[2].abs() < 1e-12 and found.edges[0][:, 2].sum() == 0  # differences of sums in another order
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
