"""The lean operation: what it keeps, how it sums, and that it stays right when it is used twice."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

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


@pytest.mark.parametrize("wanted", ["z", "weight", "bias", "grid", "inv_denominator"])
@pytest.mark.parametrize("kept", [True, False], ids=["kept", "rebuilt"])
def test_one_gradient_alone(wanted: str, kept: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not kept:
        chunks_of(monkeypatch, 5)
    t = {k: v.detach().requires_grad_(k == wanted) for k, v in make(11).items()}
    (got,) = torch.autograd.grad(run(kan_linear_recompute, t).square().sum(), t[wanted])
    (expected,) = torch.autograd.grad(run(kan_linear_reference, t).square().sum(), t[wanted])
    torch.testing.assert_close(got, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("kept", [True, False], ids=["kept", "rebuilt"])
def test_a_second_backward_gives_the_same_bits(kept: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not kept:
        chunks_of(monkeypatch, 5)
    t = make(11)
    loss = run(kan_linear_recompute, t).square().sum()
    first = torch.autograd.grad(loss, list(t.values()), retain_graph=True)
    second = torch.autograd.grad(loss, list(t.values()))
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


def test_small_bases_are_kept_and_large_ones_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    t = make(50)
    assert run(kan_linear_recompute, t).grad_fn.next_functions
    built = []
    vjp = fk.RSWAF.vjp
    monkeypatch.setattr(fk.RSWAF, "vjp", lambda self, *a: built.append(1) or vjp(self, *a))
    run(kan_linear_recompute, t).sum().backward()
    assert len(built) == 1
    monkeypatch.setattr(recompute, "KEEP_BYTES", 50 * 6 * 8 * 8 - 1)
    built.clear()
    run(kan_linear_recompute, t).sum().backward()
    assert len(built) == 2


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
