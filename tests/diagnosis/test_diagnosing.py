"""Planted troubles are found and named, the healthy are left in peace, and nothing is left behind."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math

import pytest
import torch
from torch import nn

import fasterkan as fk
from fasterkan.data import ImageDataset
from fasterkan.diagnosis.thresholds import FLAT

from ..seeds import seed_of


def normal(rows: int = 1024, features: int = 16, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, features, generator=torch.Generator().manual_seed(seed_of(seed)))


def network(*args, widths=(16, 12, 5), **kwargs) -> fk.KAN:
    return fk.KAN(list(widths), *args, generator=torch.Generator().manual_seed(seed_of(1)), **kwargs)


def calibrated() -> fk.KAN:
    net = network(norm="feature")
    net.calibrate(normal())
    return net


def folded() -> fk.KAN:
    net = calibrated()
    net.fold()
    return net


HEALTHY = {
    "default": network,
    "wide": lambda: network(widths=(16, 128, 10)),
    "deep": lambda: network(widths=(16, *[32] * 6, 10)),
    "rms": lambda: network(norm="rms"),
    "base": lambda: network(base="silu"),
    "feature": calibrated,
    "folded": folded,
    "4-functions": lambda: network(fk.RSWAF(num_grids=4)),
    # 13 % of its functions are dead, a mean over 128 features that hardly changes with the draw.
    "16-functions": lambda: network(fk.RSWAF(num_grids=16), widths=(16, 128, 10)),
    "each-edge": lambda: fk.WavKAN([16, 12, 5], generator=torch.Generator().manual_seed(seed_of(1))),
    "as-published": lambda: fk.FasterKAN([16, 12, 5], generator=torch.Generator().manual_seed(seed_of(1))),
}


@pytest.mark.parametrize("make", HEALTHY.values(), ids=HEALTHY)
def test_a_healthy_network_has_no_finding(make):
    report = fk.diagnose(make(), normal())
    assert [str(finding) for finding in report.findings] == []
    assert report.healthy
    assert str(report).endswith("nothing found")


def with_weights(value: float) -> fk.KAN:
    net = network()
    with torch.no_grad():
        net.layers[1].weight[:, :, :3] = value
    return net


def scaled(factor: float, layer: int = 1) -> fk.KAN:
    net = network(bias=False)
    with torch.no_grad():
        net.layers[layer].weight.mul_(factor)
    return net


def poisoned(value: float = math.nan) -> fk.KAN:
    net = network()
    with torch.no_grad():
        net.layers[1].weight[2, 3, 4] = value
    return net


def with_grid(change) -> fk.KAN:
    net = network(fk.RSWAF(train_grid=True))
    with torch.no_grad():
        change(net.layers[1].grid)
    return net


def with_inverse(value: float) -> fk.KAN:
    net = network(fk.RSWAF(train_inv_denominator=True))
    with torch.no_grad():
        net.layers[1].inv_denominator.fill_(value)
    return net


def vanishing() -> fk.KAN:
    net = network(norm=None, widths=(16, 12, 12, 5), bias=False)
    with torch.no_grad():
        for layer in net.layers[1:]:
            layer.weight.mul_(1e-2)
    return net


BROKEN = {
    "no-norm": (lambda: network(norm=None), 20.0, "outside", "layers.0", 'Set norm="layer" or norm="feature"'),
    "saturated": (lambda: network(norm=None), 20.0, "saturated", "layers.0", "grid_range=("),
    "uncalibrated-range": (calibrated, 20.0, "outside", "layers.0", "Call model.calibrate(X)"),
    "gain": (lambda: network(norm=fk.LayerNorm(gain=5.0)), 1.0, "outside", "layers.1", 'norm_gain="auto"'),
    "range": (lambda: network(fk.RSWAF(grid_range=(2.0, 4.0)), norm=None), 1.0, "outside", "layers.0", "grid_range=(-"),
    "spikes": (
        lambda: network(fk.RSWAF(inv_denominator=40.0)),
        1.0,
        "saturated",
        "layers.0",
        'Set inv_denominator="auto"',
    ),
    "spikes-width": (lambda: network(fk.RSWAF(inv_denominator=40.0)), 1.0, "width", "layers.0", "inv_denominator"),
    "wide": (lambda: network(fk.RSWAF(inv_denominator=0.2)), 1.0, "collinear", "layers.0", 'inv_denominator="auto"'),
    "learned-wide": (lambda: with_inverse(1e-4), 1.0, "width", "layers.1", "train_inv_denominator=False"),
    "dead-weights": (lambda: with_weights(0.0), 1.0, "dead", "layers.1", "lower weight_decay"),
    "dead-values": (lambda: network(fk.RSWAF(inv_denominator=9), norm=None), 0.01, "dead", "layers.0", "Set norm="),
    "crossed": (lambda: with_grid(lambda g: g[2:4].copy_(g[2:4].flip(0))), 1.0, "grid", "layers.1", "train_grid=False"),
    "collapsed": (lambda: with_grid(lambda g: g[3].copy_(g[2])), 1.0, "grid", "layers.1", "with a lower lr"),
    "uncalibrated": (lambda: network(norm="feature"), 1.0, "uncalibrated", "layers.0", "Call model.calibrate(X)"),
    "nan-weight": (poisoned, 1.0, "nonfinite", "layers.1", "Go back to the last good weights, lower lr"),
    "huge": (lambda: scaled(1e6), 1.0, "output", "layers.1", "Lower lr"),
    "tiny": (lambda: scaled(1e-6), 1.0, "output", "layers.1", "Lower weight_decay"),
    "zero": (lambda: scaled(0.0), 1.0, "gradient", "layers.0", "Check that its output reaches the loss"),
    "vanishing": (vanishing, 1.0, "gradient", "", 'norm_gain="auto"'),
}


@pytest.mark.parametrize(("make", "factor", "kind", "layer", "advice"), BROKEN.values(), ids=BROKEN)
def test_a_planted_trouble_is_found_and_named(make, factor, kind, layer, advice):
    report = fk.diagnose(make(), normal() * factor)
    found = [f for f in report.findings if (f.kind, f.layer) == (kind, layer)]
    assert len(found) == 1, str(report)
    assert advice in found[0].advice
    assert str(found[0]) in str(report)
    assert f"[{kind}]" in str(report)


def reference(layer: fk.KANLinear, x: torch.Tensor) -> dict[str, float]:
    """The report's numbers, one feature at a time and straight from the formula."""
    z = layer.norm(x).detach().double()
    grid, inverse = layer.grid.double(), layer.inv_denominator.double()
    phi = 1 - torch.tanh((z.unsqueeze(-1) - grid) * inverse).square()  # [S, I, K]
    conditions, ranks = [], []
    for i in range(z.shape[1]):
        singular = torch.linalg.svdvals(phi[:, i])
        conditions.append(float((singular[0] / singular[-1]).square().log10()))
        ranks.append(int((singular > 1e-3 * singular[0]).sum()))
    mean = phi.abs().mean(0)
    return {
        "outside": int(((z < -1.2) | (z > 1.2)).sum()) / z.numel(),
        "dead": int((mean < 1e-3 * mean.max()).sum()) / mean.numel(),
        "independent": sum(ranks) / len(ranks),
        "condition": 10 ** (sum(conditions) / len(conditions)),
    }


def test_numbers_are_those_of_direct_computation():
    net, x, y = network(), normal(600), torch.arange(600) % 5
    report = fk.diagnose(net, (x, y))
    hidden = net.layers[0](x)
    hidden.retain_grad()
    output = net.layers[1](hidden)
    loss = nn.functional.cross_entropy(output, y)
    loss.backward()
    assert report.loss == pytest.approx(loss.item(), rel=1e-5)
    for layer, entry, given, made in zip(net.layers, report.layers, (x, hidden), (hidden, output), strict=True):
        for name, value in reference(layer, given).items():
            assert getattr(entry, name) == pytest.approx(value, rel=1e-4), name
        assert entry.output_rms == pytest.approx(made.square().mean().sqrt().item(), rel=1e-4)
        assert entry.weight_grad == pytest.approx(layer.weight.grad.norm().item(), rel=1e-4)
        assert (entry.in_features, entry.out_features, entry.num_basis, entry.rows) == (
            layer.in_features,
            layer.out_features,
            8,
            600,
        )
        assert entry.width == pytest.approx(1.2, rel=1e-5)
        assert entry.grid_gap == pytest.approx(1, rel=1e-5)
    assert report["layers.1"].input_grad == pytest.approx(hidden.grad.norm().item(), rel=1e-4)
    assert report["layers.0"].output_grad == pytest.approx(hidden.grad.norm().item(), rel=1e-4)
    gradient = (output.softmax(1) - nn.functional.one_hot(y, 5)) / 600
    assert report["layers.1"].output_grad == pytest.approx(gradient.norm().item(), rel=1e-4)
    assert report.gradient_ratio == pytest.approx((gradient.norm() / hidden.grad.norm()).item(), rel=1e-4)


def test_saturation_is_the_share_of_flat_inputs():
    layer = fk.KANLinear(1, 1, fk.RSWAF(inv_denominator=2.0), norm=None)
    x = torch.tensor([[0.0], [0.3], [-0.5], [40.0], [50.0]])
    assert fk.diagnose(layer, x).layers[0].saturated == pytest.approx(0.4)
    assert fk.diagnose(layer, x).layers[0].outside == pytest.approx(0.4)


@dataclasses.dataclass(frozen=True)
class Line(fk.Basis):
    """One function, z itself: never flat, and 0 at 0."""

    @property
    def num_basis(self) -> int:
        return 1

    def init(self, in_features, out_features, device=None, dtype=None):
        return {}

    def evaluate(self, z, params):
        return z.unsqueeze(-1)


def test_any_basis_and_values_of_nothing_are_saturated_too():
    (entry,) = fk.diagnose(fk.KANLinear(1, 1, Line(), norm=None), torch.tensor([[0.0], [0.5], [0.9], [1.5]])).layers
    assert (entry.saturated, entry.outside, entry.independent) == (0.25, 0.25, 1.0)
    assert (entry.grid_gap, entry.width) == (None, None)


def test_batches_of_any_size_give_the_same_numbers():
    net, x, y = network(), normal(500), torch.arange(500) % 5
    whole = fk.diagnose(net, [(x, y)])
    for parts in ((x, y), zip(x.split(70), y.split(70), strict=True)):
        report = fk.diagnose(net, parts)
        for one, other in zip(whole.layers, report.layers, strict=True):
            assert one.weight_grad == pytest.approx(other.weight_grad, rel=1e-4)
            assert one.input_grad == pytest.approx(other.input_grad, rel=1e-4)
            assert one.condition == pytest.approx(other.condition, rel=1e-3)
        assert report.loss == pytest.approx(whole.loss, rel=1e-5)


IMAGES = ImageDataset(
    torch.randint(256, (40, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed_of(0))),
    torch.arange(40) % 5,
    tuple("abcde"),
)
ZEROS = torch.zeros(40, dtype=torch.long)
PARTS = torch.cat([normal(30), normal(10)])


def even(rows: int) -> torch.Tensor:
    return torch.arange(rows) * 40 // rows


KINDS = {  # the data, its rows x and labels y, and which of 40 rows are taken
    "tensor": (normal(40), normal(40), None, even),
    "array": (normal(40).numpy(), normal(40), None, even),
    "pair": ((normal(40), ZEROS), normal(40), ZEROS, even),
    "list-of-tensors": ([normal(30), normal(10)], PARTS, None, torch.arange),
    "list-of-pairs": ([[normal(40), ZEROS]], normal(40), ZEROS, torch.arange),
    "loader": (
        torch.utils.data.DataLoader(torch.utils.data.TensorDataset(normal(40)), batch_size=7),
        normal(40),
        None,
        torch.arange,
    ),
    "images": (IMAGES, IMAGES.as_float(flat=True), IMAGES.labels, even),
}


@pytest.mark.parametrize(("data", "x", "y", "taken"), KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("rows", [40, 11], ids=["all-rows", "some-rows"])
def test_data_of_every_kind(data, x, y, taken, rows):
    report, output = fk.diagnose(network(), data, rows=rows), network()(x[taken(rows)])
    assert report.rows == report["layers.0"].rows == rows
    expected = output.square().mean() if y is None else nn.functional.cross_entropy(output, y[taken(rows)])
    assert report.loss == pytest.approx(expected.item(), rel=1e-5)


def test_rows_are_spread_over_sorted_data():
    x = torch.linspace(-3, 3, 1000).unsqueeze(1)
    layer = fk.KANLinear(1, 1, norm=None)
    few, all_rows = (fk.diagnose(layer, x, rows=rows).layers[0].outside for rows in (50, 1000))
    assert few == pytest.approx(all_rows, abs=0.03) == pytest.approx(0.6, abs=0.03)


def test_of_sequences_every_step_is_looked_at():
    x = torch.zeros(10, 10, 1)
    x[:, 3] = 9.0  # the fourth step of every row lies outside
    report = fk.diagnose(fk.KANLinear(1, 1, norm=None), x)
    assert (report.rows, report.layers[0].rows) == (10, 10)
    assert report.layers[0].outside == pytest.approx(0.1)


def test_a_loss_of_ones_own_and_targets_of_its_shape():
    net, x = network(), normal(300)
    target = torch.ones(300, 5)
    squared = fk.diagnose(net, (x, target))
    assert squared.loss == pytest.approx((net(x) - 1).square().mean().item(), rel=1e-5)
    tenfold = fk.diagnose(net, (x, target), loss=lambda output, y: 10 * (output - y).square().mean())
    assert tenfold["layers.0"].weight_grad == pytest.approx(10 * squared["layers.0"].weight_grad, rel=1e-4)
    assert fk.diagnose(net, x).loss == pytest.approx(net(x).square().mean().item(), rel=1e-5)


class Mixed(nn.Module):
    """Convolution, batch norm, dropout and two KANLinear layers under names of its own, one called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 4, 4), nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.5)
        self.first, self.spare = fk.KANLinear(4, 4), fk.KANLinear(4, 5)
        self.last = fk.KANLinear(4, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.drop(self.norm(self.conv(x)).flatten(1))
        return self.last(self.first(self.first(x)))


def test_a_module_of_ones_own():
    report = fk.diagnose(Mixed(), IMAGES)
    assert [layer.name for layer in report.layers] == ["first", "last", "spare"]
    assert [layer.rows for layer in report.layers] == [80, 40, 0]
    assert [f.layer for f in report.findings if f.kind == "unreached"] == ["spare"]
    with pytest.raises(KeyError, match="layers: 'first', 'last', 'spare'"):
        report["third"]


def test_fasterkanvolver():
    net = fk.FasterKANvolver([16, 10], generator=torch.Generator().manual_seed(seed_of(0)))
    report = fk.diagnose(net, torch.rand(32, 1, 28, 28))
    assert [layer.name for layer in report.layers] == ["head.layers.0", "head.layers.1"]
    assert "collinear" in {finding.kind for finding in report.findings}  # 8 functions on a grid of 1.4, h = 1


def state(model: nn.Module) -> dict[str, object]:
    return {
        "tensors": {name: t.detach().clone() for name, t in [*model.named_parameters(), *model.named_buffers()]},
        "grads": {name: None if p.grad is None else p.grad.clone() for name, p in model.named_parameters()},
        "modes": [m.training for m in model.modules()],
        "hooks": [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in model.modules()],
        "wanted": [p.requires_grad for p in model.parameters()],
        "random": torch.get_rng_state(),
        "seen": [m.statistics.count for m in model.modules() if hasattr(m, "statistics")],
    }


class Counting(nn.Module):
    """A norm that counts its calls in a buffer, also in evaluation mode."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return x


TROUBLED = {
    "mixed": Mixed,
    "feature": calibrated,
    "uncalibrated": lambda: network(norm="feature"),
    "nan": poisoned,
    "counting": lambda: fk.KANLinear(16, 5, norm=Counting()),
}


@pytest.mark.parametrize("make", TROUBLED.values(), ids=TROUBLED)
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_the_model_is_left_as_it_was_found(make, training):
    model = make().train(training)
    parameters = list(model.parameters())
    parameters[0].grad = torch.ones_like(parameters[0])
    parameters[-1].requires_grad_(False)
    before = state(model)
    x = IMAGES if isinstance(model, Mixed) else normal(64)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(normal(64)), shuffle=True, batch_size=16)
    for data in (x,) if isinstance(model, Mixed) else (x, loader):
        with torch.no_grad():
            fk.diagnose(model, data)
    with contextlib.suppress(ZeroDivisionError):
        fk.diagnose(model, x, loss=lambda output, y: 1 / 0)
    torch.testing.assert_close(state(model), before, rtol=0, atol=0, equal_nan=True)


def test_works_where_gradients_are_off_and_leaves_the_data_alone():
    net, x = nn.Sequential(nn.ReLU(inplace=True), network()), normal(50)
    expected = fk.diagnose(net, [x])
    assert torch.equal(x, normal(50))
    with torch.inference_mode():
        assert fk.diagnose(net, [x + 0]) == expected
    with torch.no_grad():
        assert fk.diagnose(net, [x]) == expected


def test_frozen_layers_have_no_weight_gradient():
    net = network()
    net.layers[0].requires_grad_(False)
    first, last = fk.diagnose(net, normal(50)).layers
    assert (first.weight_grad, last.weight_grad is None) == (None, False)
    assert first.input_grad > 0


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16], ids=str)
def test_every_dtype(dtype):
    assert fk.diagnose(network(dtype=dtype), normal()).healthy


@pytest.mark.parametrize(
    ("make", "x", "where", "what"),
    [
        (network, normal(8).index_fill(0, torch.tensor([3]), math.nan), "the data", "the data"),
        (poisoned, normal(8), "layers.1", "its weight"),
        (lambda: poisoned(math.inf), normal(8), "layers.1", "its weight"),
        (lambda: nn.Sequential(fk.KANLinear(16, 4), Overflow(), fk.KANLinear(4, 4)), normal(8), "2", "its input"),
    ],
    ids=["data", "nan-weight", "inf-weight", "between"],
)
def test_the_first_value_that_is_not_finite(make, x, where, what):
    report = fk.diagnose(make(), x)
    assert report.first_nonfinite == where
    assert report.findings[0].kind == "nonfinite"
    assert report.findings[0].message == f"the first NaN or infinity appears in {what}"


class Overflow(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.abs() * 1e38 * 1e38


def test_rows_that_are_not_finite_are_left_out_of_the_numbers():
    x = normal(100)
    bad = torch.cat([x, torch.full((1, 16), math.nan)])
    assert fk.diagnose(network(), bad)["layers.0"].outside == fk.diagnose(network(), x)["layers.0"].outside


def test_to_dict_is_json():
    report = fk.diagnose(poisoned(), normal(50))
    plain = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert plain["first_nonfinite"] == "layers.1"
    assert [layer["name"] for layer in plain["layers"]] == ["layers.0", "layers.1"]
    assert plain["loss"] is None
    assert set(plain["findings"][0]) == {"kind", "layer", "message", "advice"}


def test_the_table():
    lines = str(fk.diagnose(network(), normal(100))).splitlines()
    assert lines[0].split() == [
        "layer",
        "widths",
        "outside",
        "dead",
        "indep.",
        "condition",
        "saturated",
        "output",
        "dweight",
        "dinput",
    ]
    assert lines[1].split()[:3] == ["layers.0", "16>12", "K8"]
    assert lines[3].startswith("100 rows; loss ")


@pytest.mark.parametrize(
    ("model", "data", "more", "error", "message"),
    [
        (nn.Linear(2, 2), normal(4, 2), {}, ValueError, "diagnose: Linear has no KANLinear layer"),
        ("net", normal(4), {}, TypeError, "model must be a module with KANLinear layers, got str"),
        (None, normal(4), {"rows": 0}, ValueError, "rows must be at least 1, got 0"),
        (None, normal(4), {"loss": 3}, TypeError, "loss must be a function of (output, y), got 3"),
        (None, normal(4), {"loss": lambda output, y: output}, TypeError, "must return a tensor with one number"),
        (None, normal(0), {}, ValueError, "the data has no row"),
        (None, [], {}, ValueError, "the data has no row"),
        (None, "data", {}, TypeError, "an iterable of batches or an ImageDataset, got str"),
        (None, {"x": 1}, {}, TypeError, "got dict"),
        (None, 3, {}, TypeError, "got int"),
        (None, torch.tensor(1.0), {}, ValueError, "the same number of rows, got []"),
        (None, ["a"], {}, TypeError, "a batch must be a tensor x, or (x, y) of tensors, got str"),
        (None, [()], {}, TypeError, "got nothing"),
        (None, (normal(4), torch.zeros(3)), {}, ValueError, "the same number of rows, got [4, 16] and [3]"),
        (None, (normal(4), torch.tensor([0, 1, 5, 2])), {}, ValueError, "labels run from 0 to 5, expected 0 to 4"),
        (None, (normal(4), torch.zeros(4, 3)), {}, ValueError, "no loss for outputs [4, 5] and targets"),
        (None, normal(4, 3), {}, ValueError, "x has 3 features, in_features is 16"),
    ],
)
def test_refuses(model, data, more, error, message):
    with pytest.raises(error) as caught:
        fk.diagnose(network() if model is None else model, data, **more)
    assert message in str(caught.value)


def test_functions_of_each_edge(monkeypatch):
    """Shares count the functions of all edges; of many functions fewer rows are looked at."""
    net, x = fk.WavKAN([16, 12, 5], generator=torch.Generator().manual_seed(seed_of(1))), normal(40)
    with torch.no_grad():
        net.layers[0].weight[:3] = 0
    first = fk.diagnose(net, x).layers[0]
    assert (first.dead, first.independent, first.condition) == (0.25, 1, 1)
    layer = net.layers[0].double()
    phi = layer.basis.evaluate(x.double(), layer.basis_tensors())  # [S, O, I, 1]
    nodes = torch.linspace(*layer.basis.grid_range, 513, dtype=torch.float64).unsqueeze(-1).repeat(1, 16)
    peak = layer.basis.evaluate(nodes, layer.basis_tensors()).abs().max()
    slope = layer.basis.derivative(x.double(), layer.basis_tensors())
    steepest = layer.basis.derivative(nodes, layer.basis_tensors()).abs().max()
    flat = (phi.abs() < FLAT * peak) | (slope.abs() < FLAT * steepest)
    assert first.saturated == pytest.approx(float(flat.double().mean()), rel=1e-12)
    monkeypatch.setattr("fasterkan.diagnosis.measure._EACH_EDGE", 1)
    fewer = fk.diagnose(net.float(), x).layers[0]
    assert (fewer.rows, fewer.dead, fewer.outside) == (40, 0.25, first.outside)
    assert abs(fewer.saturated - first.saturated) < 0.02


def test_a_base_branch_on_columns_in_natural_units() -> None:
    units = torch.ones(16).index_fill(0, torch.tensor([3]), 5e4)
    for base_input, kinds in (("x", {"output"}), ("scaled", set())):
        net = network(norm="feature", base="silu", base_input=base_input)
        net.calibrate(normal() * units)
        found = [one for one in fk.diagnose(net, normal(seed=2) * units).findings if one.kind == "output"]
        assert {one.kind for one in found} == kinds
        assert all('with base_input="scaled"' in one.advice for one in found if one.layer == "layers.0")
    net.layers[0].base_norm.set_to(torch.zeros(16), torch.ones(16))
    assert "norm.reset_parameters()" in str(fk.diagnose(net, normal() * units).findings[0])
