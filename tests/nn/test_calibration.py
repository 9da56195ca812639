"""calibrate, update_norms, freeze and fold: what moves, what stays, and that functions are kept."""

from __future__ import annotations

import copy
import datetime
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

import fasterkan as fk
from fasterkan import KAN, RSWAF, FasterKAN, FeatureNorm, KANLinear, calibrate, update_norms
from fasterkan.bases import Basis, Params
from fasterkan.nn import FeatureScaling

from ..seeds import seed_of

NO_NORM = 'no layer has a feature norm; make the model with norm="feature"'
FINE = RSWAF(num_grids=64, grid_range=(-1.0, 1.0))


def kan(*widths: int, norm: Any = "feature", **options: Any) -> KAN:
    return KAN(list(widths) or [3, 4, 2], RSWAF(num_grids=6), norm=norm, **options)


def assert_set_by(norm: FeatureScaling, rows: Tensor) -> None:
    """c and s put mean +- 3 deviations of the rows on RSWAF's -1.2 .. 1.2."""
    assert norm.calibrated
    torch.testing.assert_close(norm.center, rows.mean(0), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(norm.scale, 0.4 / rows.std(0, correction=0))


class Stream(IterableDataset):
    def __init__(self, x: Tensor) -> None:
        self.x = x

    def __iter__(self) -> Any:
        return iter(self.x)


SOURCES: dict[str, Callable[[Tensor], Any]] = {
    "tensor": lambda x: x,
    "tensor-3d": lambda x: x.view(4, 15, 3),
    "numpy": lambda x: x.numpy(),
    "numpy-float64": lambda x: x.double().numpy(),
    "list-of-tensors": lambda x: list(x.split(7)),
    "list-of-tuples": lambda x: [(rows, torch.zeros(len(rows))) for rows in x.split(7)],
    "list-of-lists": lambda x: [[rows, "label"] for rows in x.split(7)],
    "list-of-arrays": lambda x: [rows.numpy() for rows in x.split(7)],
    "tuple-of-tensors": lambda x: x.split(7),
    "loader": lambda x: DataLoader(TensorDataset(x, torch.zeros(60)), batch_size=7, shuffle=True),
    "stream": lambda x: DataLoader(Stream(x), batch_size=7),
    "generator": lambda x: (rows for rows in x.split(7)),
    "iterator": lambda x: iter(x.split(7)),
    "rows": lambda x: list(x),
    "numbers": lambda x: x.tolist(),
    "pair": lambda x: (x, torch.zeros(60)),
    "pair-of-lists": lambda x: (x.tolist(), [0] * 60),
    "lists-of-numbers": lambda x: iter([rows.tolist() for rows in x.split(7)]),
    "backwards": lambda x: x.flip(0).numpy()[::-1],
    "big-endian": lambda x: x.numpy().astype(">f4"),
    "empty-mask": lambda x: np.ma.masked_array(x.numpy(), mask=False),
}


@pytest.mark.parametrize("source", SOURCES)
def test_every_kind_of_data(source: str) -> None:
    net, x = kan(), torch.randn(60, 3) * torch.tensor([1.0, 50.0, 1e-3]) + 2
    assert net.calibrate(SOURCES[source](x)) == {}
    first, second = net.layers
    assert_set_by(first.norm, x)
    assert_set_by(second.norm, first(x))


def test_layer_by_layer_in_the_order_of_the_data() -> None:
    class Backwards(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last, self.first = KANLinear(4, 2, norm="feature"), KANLinear(3, 4, norm="feature")

        def forward(self, x: Tensor) -> Tensor:
            return self.last(torch.tanh(self.first(x)))

    net, x = Backwards(), torch.randn(60, 3)
    calibrate(net, x)
    assert_set_by(net.first.norm, x)
    assert_set_by(net.last.norm, torch.tanh(net.first(x)))


def test_inside_a_larger_model() -> None:
    net = nn.Sequential(
        nn.Embedding(9, 5),
        nn.Linear(5, 3),
        nn.Dropout(0.5),
        kan(3, 4),
        nn.BatchNorm1d(4),
        KANLinear(4, 2, norm=None),
        kan(2, 1),
    )
    tokens = torch.arange(9)
    before = copy.deepcopy(net.state_dict())
    calibrate(net, tokens)
    assert_set_by(net[3].layers[0].norm, net.eval()[:3](tokens))
    assert_set_by(net[6].layers[0].norm, net[:6](tokens))
    moved = {name for name, tensor in net.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved == {f"{i}.layers.0.norm.{name}" for i in (3, 6) for name in ("center", "scale", "status")}


def test_the_method_of_a_layer() -> None:
    layer, x = KANLinear(3, 2, norm="feature"), torch.randn(30, 3)
    layer.calibrate(x)
    assert_set_by(layer.norm, x)


def test_branches_that_data_reach_by_turns() -> None:
    class Switch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = KANLinear(3, 2, norm="feature"), KANLinear(3, 2, norm="feature")

        def forward(self, x: Tensor) -> Tensor:
            return self.a(x) if x[0, 0] > 0 else self.b(x)

    net, x = Switch(), torch.randn(40, 3).abs()
    calibrate(net, [x[:9], -x[9:], x[9:], -x[:9]])
    assert_set_by(net.a.norm, x)
    assert_set_by(net.b.norm, -x)
    with pytest.raises(ValueError, match="no batch reached b; is the data empty"):
        calibrate(Switch(), x)


def test_a_compiled_model_is_calibrated_without_compiling() -> None:
    torch._dynamo.reset()
    compiled_frames = []

    def backend(graph: Any, inputs: Any) -> Any:
        compiled_frames.append(graph)
        return graph

    net, x = kan(), torch.randn(60, 3)
    compiled = torch.compile(net, backend=backend, fullgraph=True)
    calibrate(compiled, x)
    assert not compiled_frames
    assert_set_by(net.layers[1].norm, net.layers[0](x))
    torch.testing.assert_close(compiled(x), net(x))
    assert len(compiled_frames) == 1


def test_a_model_that_catches_exceptions() -> None:
    class Careful(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = kan()

        def forward(self, x: Tensor) -> Tensor:
            try:
                return self.inner(x)
            except Exception as error:
                raise KeyError("caught") from error

    net, x = Careful(), torch.randn(60, 3)
    calibrate(net, x)
    assert_set_by(net.inner.layers[0].norm, x)


# What it leaves as it was.


@pytest.mark.parametrize("fails", [False, True], ids=["passes", "raises"])
def test_modes_hooks_and_gradients_are_as_before(fails: bool) -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.Dropout(), kan())
    net.train()
    net[1].eval()
    net[2].layers[1].eval()
    before = [m.training for m in net.modules()]

    def batches() -> Iterable[Tensor]:
        yield torch.randn(5, 3)
        if fails:
            raise OSError("the disk is gone")

    class Again(IterableDataset):
        __iter__ = staticmethod(batches)  # type: ignore[assignment]

    if fails:
        with pytest.raises(OSError, match="the disk is gone"):
            calibrate(net, Again())
    else:
        calibrate(net, Again())
    assert [m.training for m in net.modules()] == before
    assert not any(m._forward_pre_hooks for m in net.modules())
    assert all(p.grad is None for p in net.parameters())
    assert [layer.norm.statistics.count for layer in net[2].layers] == [0, 0]
    assert [layer.norm.calibrated for layer in net[2].layers] == [not fails] * 2


def test_rows_seen_in_training_are_not_mixed_in() -> None:
    net, x = kan(), torch.randn(60, 3)
    net(x + 100)
    net(x + 100)
    net.calibrate(x)
    assert_set_by(net.layers[0].norm, x)


# What cannot be.

BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "no-batch": ([], ValueError, "no batch reached layers.0; is the data empty?"),
    "generator-of-nothing": (iter(()), ValueError, "no batch reached layers.0; is the data empty?"),
    "no-row": (torch.zeros(0, 3), ValueError, "layers.0 saw no usable row: every batch was empty or held NaN"),
    "only-nan": ([torch.full((4, 3), torch.nan)] * 2, ValueError, "layers.0 saw no usable row"),
    "number": (5, TypeError, "data must be a tensor or an iterable of batches, got int"),
    "text": ("iris", TypeError, "data must be a tensor or an iterable of batches, got str"),
    "mapping": ({"x": torch.zeros(3, 3)}, TypeError, "data must be a tensor or an iterable of batches, got dict"),
    "texts": (["iris"], TypeError, "a batch must be a tensor, or a tuple that starts with one, got str"),
    "empty-tuple": ([()], TypeError, "a batch must be a tensor, or a tuple that starts with one, got tuple"),
    "mapping-batch": ([{"x": 1}], TypeError, "a batch must be a tensor, or a tuple that starts with one, got dict"),
    "wrong-width": (torch.zeros(5, 4), ValueError, "KANLinear: x has 4 features, in_features is 3"),
    "dates": (np.zeros((5, 3), "M8[s]"), TypeError, "calibrate: X must be a tensor or an array of numbers, got dates"),
}


@pytest.mark.parametrize("case", BAD)
def test_data_that_cannot_be_used(case: str) -> None:
    data, error, message = BAD[case]
    net = kan()
    with pytest.raises(error) as caught:
        net.calibrate(copy.copy(data))
    assert message in str(caught.value)
    assert net.training
    assert not net.layers[0].norm.calibrated


def test_bad_batches_among_good_ones_are_skipped_and_counted() -> None:
    net, x = kan(3, 2), torch.randn(60, 3)
    net.calibrate([x[:0], x[:20], torch.full((4, 3), torch.nan), x[20:], x[:3] / 0])
    assert_set_by(net.layers[0].norm, x)
    assert net.layers[0].norm.statistics.skipped == 3


@pytest.mark.parametrize(
    "model", [kan(norm="layer"), kan(norm=None), FasterKAN([3, 4, 2])], ids=["layer", "none", "fkan"]
)
def test_a_model_without_feature_norm(model: KAN) -> None:
    for name, args in (("calibrate", (torch.zeros(5, 3),)), ("freeze", ()), ("unfreeze", ()), ("fold", ())):
        with pytest.raises(ValueError) as caught:
            getattr(model, name)(*args)
        assert str(caught.value) == f"{name}: {NO_NORM}"
    assert update_norms(model) == {}
    assert update_norms(nn.Linear(2, 2)) == {}


def test_freeze_wants_all_layers_calibrated() -> None:
    net = kan()
    net.layers[0].calibrate(torch.randn(9, 3))
    with pytest.raises(RuntimeError, match=r"freeze: layers.1 not calibrated yet; call calibrate\(X\) first"):
        net.freeze()
    assert not net.layers[0].norm.frozen


# Functions are kept.


def smooth(layer: KANLinear) -> None:
    """Give the edges functions much wider than the grid's spacing, as training on smooth data would."""
    with torch.no_grad():
        u = torch.linspace(-1, 1, layer.basis.num_basis)
        phase = torch.rand(layer.out_features, layer.in_features, 1)
        layer.weight.copy_(torch.sin(3 * u + 6 * phase) / layer.basis.num_basis)


def change(layer: KANLinear, x: Tensor, y: Tensor) -> float:
    """By how much the layer's spline part differs from what it was, relative RMS."""
    with torch.no_grad():
        return float((layer(x) - y).norm() / (y - y.mean()).norm())


def edges(layer: KANLinear, x: Tensor) -> Tensor:
    """[S, O, I]: the functions on the edges at x [S, I], in float64 by the definition."""
    z = (x - layer.norm.center.double()) * layer.norm.scale.double()
    a = (z.unsqueeze(-1) - layer.grid.double()) * layer.inv_denominator.double()
    return torch.einsum("sik,oik->soi", 1 - a.tanh().square(), layer.weight.detach().double())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_recalibration_keeps_the_functions(dtype: torch.dtype) -> None:
    net = KAN([3, 4, 2], FINE, norm="feature", dtype=dtype)
    x = torch.randn(400, 3, dtype=dtype)
    for layer in net.layers:
        smooth(layer)
    net.calibrate(x)
    before = copy.deepcopy(net)
    errors = net.calibrate(0.8 * x + 0.1)
    assert set(errors) == {"layers.0", "layers.1"}
    assert max(errors.values()) < 0.01
    z = torch.linspace(-0.7, 0.7, 501, dtype=torch.float64).unsqueeze(-1)  # away from the ends, where tails are missing
    for old, new in zip(before.layers, net.layers, strict=True):
        assert not torch.equal(new.norm.center, old.norm.center)
        points = z / new.norm.scale.double() + new.norm.center.double()
        wanted = edges(old, points)
        # Any smooth sum of bumps sech^2(z / h) at distance d has a ripple of 2 p(1) / p(0), where p(n), the transform
        # at n / d, is n a h / sinh(n a) and a = pi^2 h / d: 3.4e-4 for h = 1.2 d, before the move and after it.
        assert (edges(new, points) - wanted).abs().max() < 1e-3 * wanted.abs().max()


@pytest.mark.parametrize("grids", [4, 8, 24])
@pytest.mark.parametrize("shift", [0.05, 0.5])
def test_the_reported_error_is_the_real_one(grids: int, shift: float) -> None:
    layer = KANLinear(3, 2, RSWAF(num_grids=grids), norm="feature", dtype=torch.float64)
    x = torch.randn(200, 3, dtype=torch.float64)
    layer.calibrate(x)
    before = copy.deepcopy(layer)
    errors = layer.calibrate(1.3 * x + shift)
    ends = layer.norm.center + torch.tensor([[-1.2], [1.2]]).double() / layer.norm.scale
    points = torch.lerp(ends[0], ends[1], torch.linspace(0, 1, 8 * max(8, grids) + 1).double().unsqueeze(-1))
    old, new = edges(before, points), edges(layer, points)
    assert errors[""] == pytest.approx(float((new - old).norm() / old.norm()), rel=1e-6, abs=1e-9)
    fine = torch.lerp(ends[0], ends[1], torch.linspace(0, 1, 5001).double().unsqueeze(-1))
    old, new = edges(before, fine), edges(layer, fine)
    assert errors[""] == pytest.approx(float((new - old).norm() / old.norm()), rel=0.2, abs=1e-8)


def test_the_same_data_again_change_nothing() -> None:
    net, x = kan(dtype=torch.float64), torch.randn(100, 3, dtype=torch.float64)
    net.calibrate(x)
    y, before = net(x), copy.deepcopy(net.state_dict())
    errors = net.calibrate(x)
    assert max(errors.values()) < 1e-8
    torch.testing.assert_close(net(x), y, rtol=1e-7, atol=1e-7)
    for layer in (0, 1):
        name = f"layers.{layer}.norm.center"
        torch.testing.assert_close(net.state_dict()[name], before[name], rtol=1e-6, atol=1e-6)


def test_update_norms_follows_a_drift_then_freezes() -> None:
    layer = KANLinear(2, 2, FINE, norm=FeatureNorm("std", updates=4), dtype=torch.float64)
    x = torch.randn(300, 2, dtype=torch.float64)
    smooth(layer)
    layer(x)
    probe = torch.randn(300, 2, dtype=torch.float64).clamp(-1, 1)
    y = layer.eval()(probe)
    for step in range(1, 4):
        layer.train()(x + 0.1 * step)
        (error,) = update_norms(layer).values()
        assert error < 0.01
        torch.testing.assert_close(layer.norm.center, (x + 0.1 * step).mean(0))
        assert not layer.norm.frozen
    assert change(layer.eval(), probe, y) < 1e-3
    layer.train()(x + 0.4)
    assert set(update_norms(layer)) == {""}
    assert layer.norm.frozen
    layer(x + 50)
    assert update_norms(layer) == {}
    torch.testing.assert_close(layer.norm.center, (x + 0.4).mean(0))
    layer.unfreeze()
    layer(x)
    assert set(update_norms(layer)) == {""}
    torch.testing.assert_close(layer.norm.center, x.mean(0))
    assert not layer.norm.frozen


def test_update_norms_without_new_rows_moves_nothing() -> None:
    net, x = kan(norm=FeatureNorm(updates=2)), torch.randn(60, 3)
    assert update_norms(net) == {}  # not calibrated: left alone, and no call is used up
    net.calibrate(x)
    before = copy.deepcopy(net.state_dict())
    net(torch.full((4, 3), torch.nan))
    assert update_norms(net) == {}
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
    update_norms(net)
    assert all(layer.norm.frozen for layer in net.layers)


def test_no_update_allowed() -> None:
    net, x = kan(norm=FeatureNorm(updates=0)), torch.randn(60, 3)
    net(x)
    net(x + 9)
    assert update_norms(net) == {}
    assert net.layers[0].norm.frozen
    assert_set_by(net.layers[0].norm, x)


# Folding.


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("options", [{}, {"train_grid": True}, {"exponent": 3}, {"per_feature": True}], ids=str)
def test_fold_is_exact(dtype: torch.dtype, options: dict[str, Any], tmp_path: Path) -> None:
    net = KAN([3, 4, 2], RSWAF(num_grids=6, **options), norm="feature", base="silu", dtype=dtype)
    x = torch.randn(100, 3, dtype=dtype) * torch.tensor([1.0, 20.0, 0.1], dtype=dtype)
    net.calibrate(x)
    y = net(x).detach()
    net.fold()
    atol = 1e-12 if dtype == torch.float64 else 1e-6
    torch.testing.assert_close(net(x), y, rtol=0, atol=atol * float(y.abs().max()))
    for layer, inputs in zip(net.layers, (3, 4), strict=True):
        assert layer.norm is None
        assert (layer.grid.shape, layer.inv_denominator.shape) == ((inputs, 6), (inputs,))
        assert isinstance(layer.grid, nn.Parameter) is options.get("train_grid", False)
        assert not isinstance(layer.inv_denominator, nn.Parameter)
        assert layer.grid.dtype == dtype
    assert net.norm is None
    again = fk.from_pretrained(net.save_pretrained(tmp_path))
    assert torch.equal(again(x), net(x))
    assert again.basis == net.basis == RSWAF(num_grids=6, **{**options, "per_feature": True})


def test_learned_grids_learn_on_after_folding() -> None:
    net = KAN([3, 4, 2], RSWAF(num_grids=4, train_grid=True, train_inv_denominator=True), norm="feature")
    x = torch.randn(60, 3)
    net.calibrate(x)
    net.fold()
    net(x).square().sum().backward()
    grads = {name: p.grad for name, p in net.named_parameters()}
    assert {"layers.0.grid", "layers.0.inv_denominator", "layers.1.grid"} <= set(grads)
    assert all(grad is not None and grad.any() for grad in grads.values())


def test_fold_of_one_layer() -> None:
    layer, x = KANLinear(3, 2, RSWAF(), norm="feature"), torch.randn(60, 3)
    layer.calibrate(x)
    y = layer(x).detach()
    layer.fold()
    torch.testing.assert_close(layer(x), y, rtol=0, atol=1e-6 * float(y.abs().max()))


def test_fold_twice_or_uncalibrated() -> None:
    net = kan()
    with pytest.raises(RuntimeError, match=r"^fold: layers.0, layers.1 not calibrated yet; call calibrate\(X\) first$"):
        net.fold()
    net.calibrate(torch.randn(60, 3))
    net.fold()
    before = copy.deepcopy(net.state_dict())
    with pytest.raises(ValueError) as caught:
        net.fold()
    assert str(caught.value) == f"fold: {NO_NORM}"
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())


class Rigid(Basis):
    """phi_1(z) = z and no tensor to move."""

    num_basis = 1

    def init(self, in_features: int, out_features: int, device: Any = None, dtype: Any = None) -> dict[str, Tensor]:
        return {}

    def evaluate(self, z: Tensor, params: Params) -> Tensor:
        return z.unsqueeze(-1)


def test_a_basis_that_cannot_fold_leaves_the_model_whole() -> None:
    net = fk.nn.Calibratable()
    net.a, net.b = KANLinear(3, 2, norm="feature"), KANLinear(3, 2, Rigid(), norm="feature")
    net.a.calibrate(torch.randn(9, 3))
    net.b.calibrate(torch.randn(9, 3))
    with pytest.raises(ValueError, match="Rigid cannot take a feature norm into its parameters"):
        net.fold()
    assert isinstance(net.a.norm, FeatureScaling)
    assert isinstance(net.b.norm, FeatureScaling)


# Several processes.


def share(rank: int, x: Tensor) -> Tensor:
    """Rank 0 sees all rows but the last 10, rank 1 those."""
    return x[:50] if rank == 0 else x[50:]


def _worker(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    torch.manual_seed(seed_of(0))
    x = torch.randn(60, 3)
    first, second, alone = kan(), kan(), kan()
    said = []
    for call in (lambda: first(share(rank, x)), lambda: second.calibrate(x[:0], group=dist.group.WORLD)):
        try:
            call()
        except (RuntimeError, ValueError) as error:
            said.append(str(error))
    first.calibrate(share(rank, x), group=dist.group.WORLD)
    first(share(rank, x + 1))
    errors = update_norms(first, group=dist.group.WORLD)
    second.calibrate([x, x[:0]] if rank == 1 else [x[:0]], group=dist.group.WORLD)
    alone.calibrate(share(rank, x))
    alone(share(rank, x + 1))
    update_norms(alone)
    states = [net.state_dict() for net in (first, second, alone)]
    torch.save((x, states, errors, said), Path(folder) / f"{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


def test_ranks_of_a_group_agree_on_the_statistics_of_all_rows(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(_worker, (str(tmp_path),), nprocs=2)
    (x, mine, *rest), (_, other, *others) = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    assert rest == others
    for state, other_state in zip(mine[:2], other[:2], strict=True):
        assert all(torch.equal(tensor, other_state[name]) for name, tensor in state.items())
    for state, mean in zip(mine[:2], (x.mean(0) + 1, x.mean(0)), strict=True):
        torch.testing.assert_close(state["layers.0.norm.center"], mean)
        torch.testing.assert_close(state["layers.0.norm.scale"], 0.4 / x.std(0, correction=0))
        assert int(state["layers.1.norm.status"]) == 1
    errors, said = rest
    assert set(errors) == {"layers.0", "layers.1"}
    assert said[0].startswith(
        "FeatureNorm is not calibrated, and each of 2 ranks would take its own batch: call model.calibrate(X, "
        "group=torch.distributed.group.WORLD) on every rank before you train"
    )
    assert "layers.0 saw no usable row" in said[1]
    for rank, (_, _, state) in enumerate((mine, other)):  # without a group each has its own
        torch.testing.assert_close(state["layers.0.norm.center"], share(rank, x).mean(0) + 1)


def _one_rank_works(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2, timeout=datetime.timedelta(seconds=60)
    )
    if rank == 0:
        torch.manual_seed(seed_of(0))
        x = torch.rand(50, 2)
        net = KAN([2, 1], fk.BSpline(grid_size=3), norm="feature", base="silu")
        fk.fit(net, x, x.square().sum(1, keepdim=True), starts=1, grids=[3], smoothness=0.0, progress=False)
        layers = len(fk.calibrate(net, x))
        fk.diagnose(net, x)
        net.train()(x)
        torch.save((x, net(x), layers, update_norms(net)), Path(folder) / "0.pt")
    else:
        time.sleep(1)  # a collective of rank 0 would wait for the barrier, and find another one there
    dist.barrier()
    dist.destroy_process_group()


def test_one_rank_may_work_while_the_others_wait(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(_one_rank_works, (str(tmp_path),), nprocs=2)
    x, y, layers, moved = torch.load(tmp_path / "0.pt")
    torch.testing.assert_close(y, x.square().sum(1, keepdim=True), rtol=0, atol=1e-3)
    assert (layers, moved) == (1, {})
