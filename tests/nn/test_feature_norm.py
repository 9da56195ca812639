"""norm="feature": z = (x - c) * s with constants c and s, set by data, never by the batch at hand."""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, jacrev, vmap
from torch.utils.checkpoint import checkpoint

from fasterkan import KAN, RSWAF, FeatureNorm, KANLinear
from fasterkan.bases import Basis, Params
from fasterkan.nn import FeatureScaling

BASIS = RSWAF(num_grids=5, grid_range=(-1.0, 2.0))
UNCALIBRATED = r"FeatureNorm is not calibrated: call model\.calibrate\(X\) first, or run one eager forward in training"


@dataclasses.dataclass(frozen=True)
class Bumps(Basis):
    """phi_k(z) = max(0, 1 - (z - u_k)^2)^2 with u = -1, 0, 1: nothing outside -2..2."""

    support = "compact"

    @property
    def num_basis(self) -> int:
        return 3

    @property
    def grid_range(self) -> tuple[float, float]:
        return (-2.0, 2.0)

    def init(self, in_features: int, out_features: int, device: Any = None, dtype: Any = None) -> dict[str, Tensor]:
        return {"centres": torch.tensor([-1.0, 0.0, 1.0], device=device, dtype=dtype)}

    def evaluate(self, z: Tensor, params: Params) -> Tensor:
        return (1 - (z.unsqueeze(-1) - params["centres"]).square()).clamp_min(0).square()


def scaling(
    features: int = 3, *, basis: Basis = BASIS, dtype: torch.dtype | None = None, **options: Any
) -> FeatureScaling:
    """A norm that follows what it is called with in training, as in a layer."""
    norm = FeatureNorm(**options).build(features, basis, dtype=dtype)
    norm.register_forward_pre_hook(Following(basis.range_of(basis.init(features, 1))))
    return norm


@dataclasses.dataclass(frozen=True)
class Following:
    """What a layer does before it calls its norm."""

    target: tuple[Tensor, Tensor]

    def __call__(self, norm: FeatureScaling, args: tuple[Tensor, ...]) -> None:
        if norm.training:
            norm.follow(args[0], lambda: self.target)


def layer(inputs: int = 3, outputs: int = 2, **options: Any) -> KANLinear:
    return KANLinear(inputs, outputs, BASIS, norm="feature", **options)


def test_the_description_is_a_value() -> None:
    assert FeatureNorm() == FeatureNorm("auto", 0.05, 100)
    assert FeatureNorm(margin=0) == FeatureNorm(margin=0.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        FeatureNorm().margin = 1.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"mode": "minmax"}, ValueError, 'mode must be "auto", "range" or "std", got \'minmax\''),
        ({"margin": -0.1}, ValueError, "margin must not be negative, got -0.1"),
        ({"margin": math.nan}, ValueError, "margin must be finite, got nan"),
        ({"margin": "5 %"}, TypeError, "margin must be a number, got '5 %' (str)"),
        ({"updates": -1}, ValueError, "updates must be at least 0, got -1"),
        ({"updates": 1.5}, TypeError, "updates must be a whole number, got 1.5 (float)"),
    ],
    ids=lambda v: str(v) if isinstance(v, dict) else "",
)
def test_a_description_that_cannot_be(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        FeatureNorm(**options)
    assert str(caught.value) == f"FeatureNorm: {message}"


@pytest.mark.parametrize(
    ("mode", "basis", "expected"),
    [("auto", BASIS, "std"), ("auto", Bumps(), "range"), ("range", BASIS, "range"), ("std", Bumps(), "std")],
    ids=lambda v: v if isinstance(v, str) else v.support,
)
def test_auto_follows_the_support(mode: str, basis: Basis, expected: str) -> None:
    assert scaling(basis=basis, mode=mode).mode == expected
    x = torch.tensor([[0.0], [1.0], [5.0]])
    norm = scaling(1, basis=basis, mode=mode)
    z = norm(x)
    low, high = basis.grid_range
    if expected == "range":
        torch.testing.assert_close(z.flatten(), low + (high - low) * (torch.tensor([0.0, 1.0, 5.0]) + 0.25) / 5.5)
    else:
        deviation = math.sqrt(14 / 3)
        torch.testing.assert_close(
            z.flatten(), (low + high) / 2 + (high - low) / 2 * torch.tensor([-2.0, -1.0, 3.0]) / (3 * deviation)
        )


# The numbers.


@pytest.mark.parametrize("margin", [0.0, 0.05, 0.5])
def test_range_leaves_the_margin_at_both_ends(margin: float) -> None:
    norm = scaling(2, mode="range", margin=margin)
    z = norm(torch.tensor([[3.0, -1e3], [4.0, 1e3], [8.0, 0.0]]))
    width = 3 / (1 + 2 * margin)
    ends = torch.tensor([-1 + margin * width, 2 - margin * width])
    torch.testing.assert_close(torch.stack([z.amin(0), z.amax(0)]), ends.unsqueeze(-1).expand(2, 2))


def test_std_puts_three_deviations_on_the_ends() -> None:
    norm, x = scaling(2, mode="std"), torch.randn(50, 2) * torch.tensor([1e-3, 40.0]) + torch.tensor([5.0, 7.0])
    norm(x)
    ends = x.mean(0) + torch.tensor([[-3.0], [3.0]]) * x.std(0, correction=0)
    norm.eval()
    torch.testing.assert_close(norm(ends), torch.tensor([[-1.0], [2.0]]).expand(2, 2), rtol=0, atol=2e-3)
    torch.testing.assert_close(norm(x).mean(0), torch.full((2,), 0.5), rtol=0, atol=1e-3)


@pytest.mark.parametrize("mode", ["range", "std"])
@pytest.mark.parametrize("scale", [1e-9, 1e-4, 1.0, 1e9])
@pytest.mark.parametrize("offset", [0.0, -3.0, 300.0], ids=lambda v: f"offset{v}")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_units_do_not_matter(mode: str, scale: float, offset: float, dtype: torch.dtype) -> None:
    unit = torch.randn(40, 2, dtype=torch.float64)
    expected = scaling(2, mode=mode, dtype=torch.float64)(unit)
    z = scaling(2, mode=mode, dtype=dtype)(((unit + offset) * scale).to(dtype))
    assert z.dtype == dtype
    assert z.min() >= -1.6 and z.max() <= 2.6
    eps = torch.finfo(dtype).eps
    torch.testing.assert_close(z.double(), expected, rtol=0, atol=8 * eps * (1 + abs(offset)))


@pytest.mark.parametrize("mode", ["range", "std"])
def test_a_constant_feature_lies_in_the_middle_with_scale_1(mode: str) -> None:
    norm = scaling(3, mode=mode)
    z = norm(torch.tensor([[7.0, 0.0, 1.0], [7.0, 0.0, 5.0]]))
    assert norm.scale[:2].tolist() == [1.0, 1.0]
    assert norm.scale[2] != 1.0
    assert z[:, :2].tolist() == [[0.5, 0.5]] * 2
    norm.eval()
    assert norm(torch.tensor([[8.0, -1.0, 1.0]]))[0, :2].tolist() == [1.5, -0.5]


def test_one_row_is_legal() -> None:
    norm = scaling(2)
    assert norm(torch.tensor([3.0, -4.0])).tolist() == [0.5, 0.5]
    assert norm.calibrated
    assert norm.scale.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision(dtype: torch.dtype) -> None:
    norm = scaling(3, mode="range", dtype=dtype)
    x = torch.tensor([[0.0, 0.0, -6e4], [1e-7, 4.0, 6e4]], dtype=dtype)
    z = norm(x)
    assert z.dtype == torch.float32
    assert torch.isfinite(z).all()
    torch.testing.assert_close(z[:, 1], torch.tensor([-1 + 3 / 22, 2 - 3 / 22]), rtol=0, atol=0.02)
    torch.testing.assert_close(z[:, 2], torch.tensor([-1 + 3 / 22, 2 - 3 / 22]), rtol=0, atol=0.02)


def test_autocast_leaves_z_in_float32() -> None:
    norm, x = scaling(), torch.randn(9, 3)
    with torch.autocast("cpu", torch.bfloat16):
        z = norm(x)
    assert z.dtype == torch.float32
    assert torch.equal(z, norm(x))


# Never the batch at hand.


def test_an_empty_or_broken_first_batch_is_passed_by() -> None:
    net, x = layer(), torch.randn(20, 3)
    assert net(x[:0]).shape == (0, 2)
    broken = x.clone()
    broken[4, 1] = math.nan
    y = net(broken)
    assert torch.isnan(y[4]).all()
    assert torch.isfinite(y[:4]).all()
    assert (net.norm.calibrated, net.norm.statistics.skipped) == (False, 2)
    net(x)
    assert (net.norm.calibrated, net.norm.statistics.skipped) == (True, 2)
    torch.testing.assert_close(net.norm.center, x.mean(0) - 0.5 / net.norm.scale)


def test_later_broken_batches_are_counted_and_left_out() -> None:
    net, x = layer(), torch.randn(20, 3)
    net(x)
    for value in (math.nan, math.inf, -math.inf):
        net(torch.full((4, 3), value))
    net(x[:7])
    assert (net.norm.statistics.count, net.norm.statistics.skipped) == (7, 3)


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_a_row_is_the_same_alone_and_in_a_batch(training: bool) -> None:
    net = KAN([3, 4, 2], BASIS, norm="feature", dtype=torch.float64)
    x = torch.randn(30, 3, dtype=torch.float64)
    net(x)
    net.train(training)
    other = 100 * torch.randn(30, 3, dtype=torch.float64)
    y = net(x)
    torch.testing.assert_close(net(torch.cat([x[4:5], other]))[0], y[4], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(torch.stack([net(row) for row in x]), y, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("first", [True, False], ids=["first-forward", "later"])
def test_no_gradient_flows_through_center_and_scale(first: bool) -> None:
    net = KAN([3, 4, 2], BASIS, norm="feature", base="silu", dtype=torch.float64)
    x = torch.randn(6, 3, dtype=torch.float64)
    if not first:
        net(x)
    leaf = x.clone().requires_grad_()
    y = net(leaf)  # in training mode: the first call also sets c and s by these very rows
    whole = torch.stack([torch.autograd.grad(y[:, o].sum(), leaf, retain_graph=True)[0] for o in range(2)], 1)
    rows = torch.stack([torch.autograd.grad(y[n, o], leaf, retain_graph=True)[0] for n in range(6) for o in range(2)])
    per_row = vmap(jacrev(net))(x)  # [N, O, I]
    torch.testing.assert_close(per_row, whole, rtol=1e-12, atol=1e-12)
    for n in range(6):
        for o in range(2):
            others = rows[2 * n + o][[m for m in range(6) if m != n]]
            assert not others.any(), "a row's output depends on another row"


def test_center_and_scale_are_no_parameters() -> None:
    net = layer()
    assert {name for name, _ in net.named_buffers()} >= {"norm.center", "norm.scale", "norm.status"}
    assert not [name for name, _ in net.named_parameters() if name.startswith("norm.")]


# Who may set them.


def test_the_first_training_forward_sets_them_layer_by_layer() -> None:
    net, x = KAN([3, 4, 2], BASIS, norm="feature"), torch.randn(50, 3)
    y = net(x)
    first, second = net.layers
    for module, rows in ((first, x), (second, first(x))):
        torch.testing.assert_close(module.norm.center, rows.mean(0) - 0.5 / module.norm.scale)
        torch.testing.assert_close(module.norm.scale, 0.5 / rows.std(0, correction=0))
    assert torch.equal(net(x), y)
    assert torch.equal(net.eval()(x), y)


def compiled(backend: str) -> Callable[[KANLinear, Tensor], Any]:
    def call(net: KANLinear, x: Tensor) -> Any:
        torch._dynamo.reset()
        return torch.compile(net, backend=backend, fullgraph=True)(x)

    return call


def forward_mode(net: KANLinear, x: Tensor) -> Any:
    with torch.autograd.forward_ad.dual_level():
        return net(torch.autograd.forward_ad.make_dual(x, torch.ones_like(x)))


READERS: dict[str, Callable[[KANLinear, Tensor], Any]] = {
    "compile-eager": compiled("eager"),
    "compile-aot_eager": compiled("aot_eager"),
    "export": lambda net, x: torch.export.export(net, (x,)).module()(x),
    "vmap": lambda net, x: vmap(net)(x),
    "grad": lambda net, x: torch.func.grad(lambda v: net(v).sum())(x),
    "jacrev": lambda net, x: jacrev(net)(x[0]),
    "functional_call-in-grad": lambda net, x: torch.func.grad(lambda p: functional_call(net, p, (x,)).sum())(
        dict(net.named_parameters())
    ),
    "forward-mode": forward_mode,
    "meta": lambda net, x: copy.deepcopy(net).to("meta").norm(x.to("meta")),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_uncalibrated_raises(reader: str, training: bool) -> None:
    net = layer().train(training)
    with pytest.raises(RuntimeError, match=UNCALIBRATED):
        READERS[reader](net, torch.randn(5, 3))
    assert (net.norm.calibrated, net.norm.statistics.count) == (False, 0)


def test_uncalibrated_raises_in_eval_mode() -> None:
    with pytest.raises(RuntimeError, match=UNCALIBRATED):
        layer().eval()(torch.randn(5, 3))


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_calibrated_is_read_only(reader: str, training: bool) -> None:
    net, x = layer(), torch.randn(20, 3)
    net(x)
    net(x)
    before = copy.deepcopy(net.state_dict())
    y = READERS[reader](net.train(training), x + 5)
    if reader in ("compile-eager", "compile-aot_eager", "export", "vmap"):
        torch.testing.assert_close(y, net.eval()(x + 5))
    assert net.norm.statistics.count == 20
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())


def test_rows_are_gathered_in_eager_training_until_frozen() -> None:
    net, x = layer(), torch.randn(20, 3)
    net(x)
    counts = []
    for step in (net.eval, net.train, net.freeze, net.unfreeze):
        step()
        net(x)
        counts.append(net.norm.statistics.count)
    assert counts == [0, 20, 20, 20]  # unfreeze starts from nothing


def test_frozen_stays_where_it_is() -> None:
    net, x = layer(), torch.randn(20, 3)
    net(x)
    net.freeze()
    before = net.norm.center.clone()
    for _ in range(3):
        net(x + 100)
    assert net.norm.statistics.count == 0
    assert torch.equal(net.norm.center, before)
    assert (net.norm.frozen, int(net.norm.status)) == (True, 2)


@pytest.mark.parametrize("reentrant", [True, False], ids=["reentrant", "saved-tensors"])
@pytest.mark.parametrize("first", [True, False], ids=["first-forward", "later"])
def test_activation_checkpointing(reentrant: bool, first: bool) -> None:
    net, x = layer(), torch.randn(9, 3, requires_grad=True)
    twin = copy.deepcopy(net)
    if not first:
        net(x)
        twin(x)
    y = checkpoint(net, x, use_reentrant=reentrant)
    (through,) = torch.autograd.grad(y.square().sum(), x) if not reentrant else backward(y, x)
    (direct,) = torch.autograd.grad(twin(x).square().sum(), x)
    assert torch.equal(through, direct)
    assert torch.equal(net.norm.center, twin.norm.center)


def backward(y: Tensor, x: Tensor) -> tuple[Tensor]:
    y.square().sum().backward()
    assert x.grad is not None
    return (x.grad,)


# Copies.

STATES: dict[str, tuple[bool, bool]] = {"new": (False, False), "calibrated": (True, False), "frozen": (True, True)}


def in_state(state: str) -> KANLinear:
    net = layer()
    if state != "new":
        net.calibrate(torch.randn(20, 3) * 3 + 1)
    if state == "frozen":
        net.freeze()
    return net


def into(target: KANLinear, assign: bool = False) -> Callable[[KANLinear], KANLinear]:
    def load(net: KANLinear) -> KANLinear:
        target.load_state_dict(net.state_dict(), assign=assign)
        return target

    return load


COPIES: dict[str, Callable[[], Callable[[KANLinear], KANLinear]]] = {
    "new-model": lambda: into(layer()),
    "calibrated-model": lambda: into(in_state("calibrated")),
    "frozen-model": lambda: into(in_state("frozen")),
    "meta-assign": lambda: into(layer(device="meta"), assign=True),
    "deepcopy": lambda: copy.deepcopy,
    "pickle": lambda: lambda net: pickle.loads(pickle.dumps(net)),
}


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("state", STATES)
def test_copies_carry_the_status(how: str, state: str) -> None:
    make_copy = COPIES[how]()
    net = in_state(state)
    twin = make_copy(net)
    assert (twin.norm.calibrated, twin.norm.frozen) == STATES[state]
    assert all(torch.equal(tensor, twin.state_dict()[name]) for name, tensor in net.state_dict().items())
    x = torch.randn(5, 3)
    if state == "new":
        with pytest.raises(RuntimeError, match=UNCALIBRATED):
            twin.eval()(x)
    else:
        assert torch.equal(twin.eval()(x), net.eval()(x))
    twin.train()(x)
    assert twin.norm.calibrated


def test_loading_forgets_the_rows_seen_before() -> None:
    net, x = in_state("calibrated"), torch.randn(20, 3)
    net(x)
    assert net.norm.statistics.count == 20
    net.load_state_dict(in_state("calibrated").state_dict())
    assert net.norm.statistics.count == 0


def test_conversion_keeps_the_status() -> None:
    net, x = in_state("frozen"), torch.randn(5, 3)
    expected = net(x)
    torch.testing.assert_close(net.double()(x.double()).float(), expected)
    net.to(torch.bfloat16)
    assert (net.norm.frozen, int(net.norm.status), net.norm.status.dtype) == (True, 2, torch.uint8)


def test_repr_tells_the_state() -> None:
    assert repr(in_state("new").norm) == "FeatureScaling(mode='std', in_features=3, not calibrated)"
    assert repr(in_state("calibrated").norm) == "FeatureScaling(mode='std', in_features=3, calibrated)"
    assert repr(in_state("frozen").norm) == "FeatureScaling(mode='std', in_features=3, frozen)"
