"""The lean operation: what it keeps, how it sums, and that it stays right when it is used twice."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

import fasterkan as fk
from fasterkan.ops import kan_linear_recompute, kan_linear_reference, recompute

BASIS = fk.RSWAF(num_grids=8, train_grid=True, train_inv_denominator=True)


def make(rows: int, inputs: int = 6, outputs: int = 4, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    params = BASIS.init(inputs, outputs, dtype=dtype)
    tensors = {
        "z": torch.randn(rows, inputs, dtype=dtype),
        "weight": torch.randn(outputs, inputs, 8, dtype=dtype),
        "bias": torch.randn(outputs, dtype=dtype),
        **params,
    }
    return {k: t.requires_grad_() for k, t in tensors.items()}


def weight_only(rows: int) -> dict[str, Tensor]:
    return {k: t.detach().requires_grad_(k == "weight") for k, t in make(rows).items()}


def run(call, t: dict[str, Tensor]) -> Tensor:
    return call(t["z"], t["weight"], t["bias"], BASIS, {k: t[k] for k in ("grid", "inv_denominator")})


def chunks_of(monkeypatch: pytest.MonkeyPatch, rows: int, inputs: int = 6, itemsize: int = 8) -> None:
    monkeypatch.setattr(recompute, "KEEP_BYTES", 0)
    monkeypatch.setattr(recompute, "CHUNK_BYTES", {"cpu": rows * inputs * 8 * itemsize, "cuda": 1})


@pytest.mark.parametrize("rows", [0, 1, 4, 5, 9, 10, 11])
def test_every_chunk_counts(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chunks_of(monkeypatch, 5)
    t = make(rows)
    got, expected = run(kan_linear_recompute, t), run(kan_linear_reference, t)
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)
    dy = torch.randn_like(got)
    grads = (torch.autograd.grad(y, list(t.values()), dy, materialize_grads=True) for y in (got, expected))
    for name, a, b in zip(t, *grads, strict=True):
        assert torch.allclose(a, b, rtol=1e-11, atol=1e-11), name


@pytest.mark.parametrize("rows", [6, 7, 8, 20])
def test_no_more_rows_at_once_than_a_chunk_has(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chunks_of(monkeypatch, 7)
    sizes: list[int] = []
    build = fk.RSWAF.evaluate_for_vjp
    monkeypatch.setattr(fk.RSWAF, "evaluate_for_vjp", lambda self, z, p: sizes.append(len(z)) or build(self, z, p))
    loss = run(kan_linear_recompute, make(rows)).sum()
    expected = [min(7, rows - start) for start in range(0, rows, 7)]
    assert sizes == expected
    loss.backward()
    assert sizes == 2 * expected


@pytest.mark.parametrize("chunk", [3, 5, 64], ids=lambda rows: f"{rows} rows at once")
@pytest.mark.parametrize("as_convolutions", [False, True], ids=["products", "convolutions"])
def test_the_flop_counter_sees_the_whole_step(
    chunk: int, as_convolutions: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three products of N x I K by O for each layer, 2 operations for each multiply-add; as many as for the formula."""
    chunks_of(monkeypatch, chunk)
    monkeypatch.setattr("fasterkan.ops.product.convolution_is_faster", lambda rows, weight: as_convolutions)
    counts = []
    for call in (kan_linear_recompute, kan_linear_reference):
        t = make(11)
        with FlopCounterMode(display=False) as counter:
            run(call, t).square().sum().backward()
        counts.append(counter.get_total_flops())
    assert counts == [3 * 2 * 11 * (6 * 8) * 4] * 2


@pytest.mark.parametrize("wanted", ["z", "weight", "bias", "grid", "inv_denominator"])
@pytest.mark.parametrize("small", [True, False], ids=["small", "chunked"])
def test_one_gradient_alone(wanted: str, small: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not small:
        chunks_of(monkeypatch, 5)
    t = {k: v.detach().requires_grad_(k == wanted) for k, v in make(11).items()}
    (got,) = torch.autograd.grad(run(kan_linear_recompute, t).square().sum(), t[wanted])
    (expected,) = torch.autograd.grad(run(kan_linear_reference, t).square().sum(), t[wanted])
    torch.testing.assert_close(got, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("draw", [make, weight_only], ids=["every gradient", "weight only"])
def test_a_second_backward_gives_the_same_bits(draw) -> None:
    t = draw(11)
    loss = run(kan_linear_recompute, t).square().sum()
    leaves = [v for v in t.values() if v.requires_grad]
    first = torch.autograd.grad(loss, leaves, retain_graph=True)
    second = torch.autograd.grad(loss, leaves)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def saved_bytes(call, t: dict[str, Tensor]) -> int:
    total = 0

    def pack(x: Tensor) -> Tensor:
        nonlocal total
        total += x.numel() * x.element_size() if all(x.data_ptr() != v.data_ptr() for v in t.values()) else 0
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        run(call, t)
    return total


def test_only_the_input_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    chunks_of(monkeypatch, 5)
    t = make(50)
    assert saved_bytes(kan_linear_recompute, t) == 0
    assert saved_bytes(kan_linear_reference, t) >= 2 * 50 * 6 * 8 * 8


@pytest.mark.parametrize("draw", [make, weight_only], ids=["every gradient", "weight only"])
def test_a_small_basis_is_kept_and_a_large_one_is_not(draw, monkeypatch: pytest.MonkeyPatch) -> None:
    built = []
    build = fk.RSWAF.evaluate_for_vjp
    monkeypatch.setattr(fk.RSWAF, "evaluate_for_vjp", lambda self, *a: built.append(1) or build(self, *a))
    for limit, expected in ((50 * 6 * 8 * 8, 1), (50 * 6 * 8 * 8 - 1, 2)):
        monkeypatch.setattr(recompute, "KEEP_BYTES", limit)
        t = draw(50)
        built.clear()
        (got,) = torch.autograd.grad(run(kan_linear_recompute, t).square().sum(), t["weight"])
        (want,) = torch.autograd.grad(run(kan_linear_reference, t).square().sum(), t["weight"])
        torch.testing.assert_close(got, want, rtol=1e-11, atol=1e-11)
        assert len(built) == expected


def test_what_is_kept_is_seen_by_saved_tensor_hooks() -> None:
    """Activation checkpointing frees it by such hooks; the weight alone needs one array, a derivative three."""
    assert saved_bytes(kan_linear_recompute, weight_only(50)) == 50 * 6 * 8 * 8
    assert saved_bytes(kan_linear_recompute, make(50)) == 3 * 50 * 6 * 8 * 8


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_sums_over_chunks_in_float32(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """With 64 chunks a half-precision total is several times worse than one product; a float32 total is not."""
    t = make(1024, dtype=torch.float32)
    dy = torch.randn(1024, 4)
    exact = torch.autograd.grad(
        run(kan_linear_reference, {k: v.double() for k, v in t.items()}), t["weight"], dy.double()
    )[0]
    errors = {}
    for name, call, rows in (("plain", kan_linear_reference, 0), ("lean", kan_linear_recompute, 16)):
        if rows:
            chunks_of(monkeypatch, rows, itemsize=4)
        with torch.autocast("cpu", dtype):
            y = run(call, t)
        got = torch.autograd.grad(y, t["weight"], dy.to(y.dtype))[0]
        assert got.dtype == torch.float32
        errors[name] = ((got - exact).norm() / exact.norm()).item()
    assert errors["lean"] <= 1.2 * errors["plain"]


def test_without_gradients_nothing_is_saved() -> None:
    t = make(11)
    with torch.no_grad():
        y = run(kan_linear_recompute, t)
    assert not y.requires_grad
    with torch.inference_mode():
        assert torch.equal(run(kan_linear_recompute, t), y)
    torch.testing.assert_close(y, run(kan_linear_reference, t).detach(), rtol=1e-12, atol=1e-12)


def test_weights_changed_in_place_before_the_backward_are_noticed() -> None:
    t = make(3)
    y = run(kan_linear_recompute, t)
    with torch.no_grad():
        t["weight"].mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_dbias_under_autocast_is_summed_in_float32() -> None:
    t = make(4096, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        y = run(kan_linear_recompute, t)
    dy = torch.randn_like(y)
    (got,) = torch.autograd.grad(y, t["bias"], dy)
    torch.testing.assert_close(got, dy.float().sum(0), rtol=1e-5, atol=1e-4)


def test_float64_weights_are_left_alone_by_autocast() -> None:
    t = make(5)
    with torch.autocast("cpu", torch.bfloat16):
        y = run(kan_linear_recompute, t)
    assert y.dtype == torch.float64
    torch.testing.assert_close(y, run(kan_linear_reference, t), rtol=1e-12, atol=1e-12)


def test_backward_inside_autocast_equals_backward_outside() -> None:
    t = make(5, dtype=torch.float32)
    dy = torch.randn(5, 4)
    outside = torch.autograd.grad(run(kan_linear_recompute, t), list(t.values()), dy)
    y = run(kan_linear_recompute, t)
    with torch.autocast("cpu", torch.bfloat16):
        inside = torch.autograd.grad(y, list(t.values()), dy)
    assert all(torch.equal(a, b) for a, b in zip(inside, outside, strict=True))


class Projected(fk.RSWAF):
    """A basis that ends in a matrix product: autocast must not touch it on any path."""

    def init(self, in_features, out_features, device=None, dtype=None):
        made = super().init(in_features, out_features, device, dtype)
        return {**made, "mix": torch.eye(self.num_grids, device=device, dtype=made["grid"].dtype) * (1 + 2**-12)}

    def evaluate(self, z, params):
        values = super().evaluate(z, params) @ params["mix"]
        assert values.dtype == z.dtype
        return values

    def evaluate_for_vjp(self, z, params):
        return fk.Basis.evaluate_for_vjp(self, z, params)


def test_the_basis_is_evaluated_in_float32_under_autocast_on_every_path() -> None:
    basis = Projected(num_grids=4)
    params, z, weight = basis.init(3, 2), torch.randn(6, 3), torch.randn(2, 3, 4)
    with torch.autocast("cpu", torch.bfloat16):
        pair = [call(z, weight, None, basis, params) for call in (kan_linear_recompute, kan_linear_reference)]
    assert pair[0].dtype == torch.bfloat16
    torch.testing.assert_close(*pair)


def test_autocast_then_create_graph() -> None:
    t = make(9, dtype=torch.float32)
    firsts = []
    for call in (kan_linear_recompute, kan_linear_reference):
        with torch.autocast("cpu", torch.bfloat16):
            y = call(t["z"], t["weight"], None, BASIS, {k: t[k] for k in ("grid", "inv_denominator")})
        leaves = [t["z"], t["weight"], t["grid"]]
        first = torch.autograd.grad(y.float().square().sum(), leaves, create_graph=True)
        second = torch.autograd.grad(sum(g.square().sum() for g in first), leaves)
        firsts.append([*first, *second])
    for got, want in zip(*firsts, strict=True):
        torch.testing.assert_close(got, want, rtol=2e-2, atol=2e-2 * want.abs().max().item())


@pytest.mark.parametrize("norm", [None, "layer", "rms"], ids=str)
def test_a_layer_applied_twice_has_the_same_gradient_with_and_without_a_graph(norm: str | None) -> None:
    layer = fk.KANLinear(3, 3, BASIS, norm=norm, dtype=torch.float64)
    x = torch.randn(5, 3, dtype=torch.float64)
    y = layer(layer(x)).square().sum()
    leaves = list(layer.parameters())
    plain = torch.autograd.grad(y, leaves, retain_graph=True)
    for a, b in zip(plain, torch.autograd.grad(y, leaves, create_graph=True), strict=True):
        torch.testing.assert_close(b, a, rtol=1e-10, atol=1e-12)


def test_tied_basis_tensors_with_a_graph() -> None:
    t = make(5)
    tied = t["grid"][1:2] - t["grid"][0:1]

    def gradient(graph: bool) -> Tensor:
        params = {"grid": t["grid"], "inv_denominator": 1 / tied}
        y = kan_linear_recompute(t["z"], t["weight"], None, BASIS, params).square().sum()
        return torch.autograd.grad(y, t["grid"], create_graph=graph, retain_graph=True)[0]

    torch.testing.assert_close(gradient(True), gradient(False), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("norm", [None, "layer", "rms"], ids=str)
def test_batched_backward(norm: str | None) -> None:
    layer = fk.KANLinear(3, 2, BASIS, norm=norm, dtype=torch.float64)
    x = torch.randn(4, 3, dtype=torch.float64)
    looped = torch.autograd.functional.jacobian(layer, x)
    torch.testing.assert_close(torch.autograd.functional.jacobian(layer, x, vectorize=True), looped)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 0, 3), (2, 2, 3)], ids=str)
def test_leading_shape(shape: tuple[int, ...]) -> None:
    t = make(1)
    z = torch.randn(*shape, 6, dtype=torch.float64)
    params = {k: t[k] for k in ("grid", "inv_denominator")}
    y = kan_linear_recompute(z, t["weight"], t["bias"], BASIS, params)
    assert y.shape == (*shape, 4)
    torch.testing.assert_close(y, kan_linear_reference(z, t["weight"], t["bias"], BASIS, params))


class Idle(fk.RSWAF):
    """A basis with a learned tensor that its functions do not use."""

    @property
    def trainable(self):
        return frozenset({"unused"})

    def init(self, in_features, out_features, device=None, dtype=None):
        made = super().init(in_features, out_features, device, dtype)
        return {**made, "unused": torch.ones(2, device=device, dtype=made["grid"].dtype)}

    def evaluate_for_vjp(self, z, params):
        return fk.Basis.evaluate_for_vjp(self, z, params)

    def vjp(self, z, params, phi, saved, dphi, wrt):
        return fk.Basis.vjp(self, z, params, phi, saved, dphi, wrt)


@pytest.mark.parametrize("graph", [False, True], ids=["plain", "with a graph"])
def test_a_tensor_that_is_not_used_has_gradient_zero(graph: bool) -> None:
    basis = Idle(num_grids=4)
    params = {k: t.requires_grad_(k == "unused") for k, t in basis.init(3, 2, dtype=torch.float64).items()}
    z = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, 3, 4, dtype=torch.float64)
    y = kan_linear_recompute(z, weight, None, basis, params)
    dz, dunused = torch.autograd.grad(y.square().sum(), [z, params["unused"]], create_graph=graph)
    assert dz.any()
    assert torch.equal(dunused, torch.zeros(2, dtype=torch.float64))
