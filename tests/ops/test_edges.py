"""The lean operation with tensors for each edge: every tile counts, little is kept, and it stays right to any order."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import fasterkan as fk
from fasterkan.ops import edges, kan_linear_edges, kan_linear_reference
from fasterkan.testing import BasisBattery, LayerBattery

BASIS = fk.Wavelet()
NAMES = ("z", "weight", "bias", "translation", "scale")


@dataclasses.dataclass(frozen=True)
class Pairs(fk.Basis):
    """sin(a z) and cos(a z) with a frequency a for each edge and everything else left to the defaults: K = 2."""

    per_edge = True
    num_basis = property(lambda self: 2)
    trainable = property(lambda self: frozenset({"frequency"}))

    def init(self, in_features, out_features, device=None, dtype=None):
        edge = torch.arange(out_features * in_features, device=device, dtype=dtype)
        return {"frequency": (1 + edge / max(1, edge.numel())).view(out_features, in_features)}

    def evaluate(self, z, params):
        z = torch.where(z.abs() > 1e30, 0.0, z)  # so far out that no product overflows; NaN stays
        angle = z.unsqueeze(-2) * params["frequency"]
        return torch.stack([torch.sin(angle), torch.cos(angle)], -1)


def pairs(self: object, z: Tensor, params: dict[str, Tensor]) -> Tensor:
    wave = torch.exp(1j * torch.einsum("...i,oi->...oi", z, params["frequency"]))
    return torch.stack([wave.imag, wave.real], -1)


class TestPairs(BasisBattery):
    basis, formula = Pairs(), pairs


class TestPairsLayer(LayerBattery):
    basis, formula, paths = Pairs(), pairs, ("auto", "edges", "reference")
    options = {"norm": "layer", "base": "silu"}


class TestWaveletLayer(LayerBattery):
    basis, paths = BASIS, ("auto", "edges", "reference")
    options = {"norm": "feature", "bias": False}

    def formula(self, z: Tensor, params: dict[str, Tensor]) -> Tensor:
        u = (z.unsqueeze(-2) - params["translation"]) / params["scale"]
        return (2 / (3**0.5 * torch.pi**0.25) * (u**2 - 1) * torch.exp(-(u**2) / 2)).unsqueeze(-1)


def make(rows: int, inputs: int = 6, outputs: int = 4, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    tensors = {
        "z": torch.randn(rows, inputs, dtype=dtype),
        "weight": torch.randn(outputs, inputs, 1, dtype=dtype),
        "bias": torch.randn(outputs, dtype=dtype),
        "translation": torch.randn(outputs, inputs, dtype=dtype),
        "scale": torch.rand(outputs, inputs, dtype=dtype) + 0.5,
    }
    return {k: t.requires_grad_() for k, t in tensors.items()}


def run(call: Callable[..., Tensor], t: dict[str, Tensor]) -> Tensor:
    return call(t["z"], t["weight"], t["bias"], BASIS, {k: t[k] for k in ("translation", "scale")})


def tiles_of(monkeypatch: pytest.MonkeyPatch, functions: int, itemsize: int = 8) -> None:
    """Let a tile hold so many values of functions."""
    monkeypatch.setattr(edges, "CHUNK_BYTES", dict.fromkeys(("cpu", "cuda"), functions * itemsize))


@pytest.mark.parametrize("functions", [1, 6, 18, 42, 66, 132, 200, 10**6])
@pytest.mark.parametrize("rows", [0, 1, 11])
def test_every_tile_counts(rows: int, functions: int, monkeypatch: pytest.MonkeyPatch) -> None:
    tiles_of(monkeypatch, functions)
    t = make(rows)
    got, expected = run(kan_linear_edges, t), run(kan_linear_reference, t)
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)
    dy = torch.randn_like(got)
    grads = (torch.autograd.grad(y, list(t.values()), dy, materialize_grads=True) for y in (got, expected))
    for name, a, b in zip(t, *grads, strict=True):
        assert torch.allclose(a, b, rtol=1e-11, atol=1e-11), name


@pytest.mark.parametrize(
    ("functions", "expected"),
    [
        (10**6, [(11, 4)]),
        (2 * 66, [(11, 2)] * 2),
        (66, [(11, 1)] * 4),
        (65, [(10, 1), (1, 1)] * 4),
        (6, [(1, 1)] * 44),
        (1, [(1, 1)] * 44),
    ],
)
def test_tiles_cover_rows_and_outputs_once(
    functions: int, expected: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    tiles_of(monkeypatch, functions)
    t, seen = make(11), torch.zeros(11, 4)
    sizes = []
    for rows, outs in edges._tiles(t["z"], t["weight"]):
        seen[rows, outs] += 1
        sizes.append(tuple(seen[rows, outs].shape))
    assert torch.equal(seen, torch.ones(11, 4))
    assert sizes == expected


@pytest.mark.parametrize("wanted", NAMES)
def test_one_gradient_alone(wanted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tiles_of(monkeypatch, 30)
    t = {k: v.detach().requires_grad_(k == wanted) for k, v in make(11).items()}
    (got,) = torch.autograd.grad(run(kan_linear_edges, t).square().sum(), t[wanted])
    (expected,) = torch.autograd.grad(run(kan_linear_reference, t).square().sum(), t[wanted])
    torch.testing.assert_close(got, expected, rtol=1e-11, atol=1e-11)


def test_only_the_input_and_the_tensors_are_kept() -> None:
    t, kept = make(50), []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x.data_ptr()) or x, lambda x: x):
        run(kan_linear_edges, t)
    assert set(kept) <= {v.data_ptr() for v in t.values()}


def test_no_tensor_is_larger_than_a_tile_or_the_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    class Largest(torch.utils._python_dispatch.TorchDispatchMode):
        numel = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            self.numel = max(self.numel, out.numel() if isinstance(out, Tensor) else 0)
            return out

    tiles_of(monkeypatch, 1000)
    t = make(100, 20, 30)
    with Largest() as largest:
        run(kan_linear_edges, t).sum().backward()
    assert largest.numel == 100 * 30


@pytest.mark.parametrize("functions", [30, 10**6])
def test_second_derivatives_after_a_lean_forward(functions: int, monkeypatch: pytest.MonkeyPatch) -> None:
    tiles_of(monkeypatch, functions)
    t, found = make(5, 3, 2), []
    for call in (kan_linear_edges, kan_linear_reference):
        first = torch.autograd.grad(run(call, t).square().sum(), list(t.values()), create_graph=True)
        second = torch.autograd.grad(sum(g.pow(3).sum() for g in first), list(t.values()))
        found.append([*first, *second])
    for got, want in zip(*found, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-9)


def test_batched_backward() -> None:
    layer = fk.KANLinear(3, 2, BASIS, norm=None, dtype=torch.float64)
    x = torch.randn(4, 3, dtype=torch.float64)
    looped = torch.autograd.functional.jacobian(layer, x)
    torch.testing.assert_close(torch.autograd.functional.jacobian(layer, x, vectorize=True), looped)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_autocast_rounds_the_result_only(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    tiles_of(monkeypatch, 100, 4)
    t = {**make(64, dtype=torch.float32), "bias": None}
    exact = run(kan_linear_edges, t)
    with torch.autocast("cpu", dtype):
        y = run(kan_linear_edges, t)
        plain = run(kan_linear_reference, t)
    assert y.dtype == plain.dtype == dtype
    assert torch.equal(y, exact.to(dtype))
    (dweight,) = torch.autograd.grad(y.sum(), t["weight"])
    assert dweight.dtype == torch.float32


def test_float64_weights_are_left_alone_by_autocast() -> None:
    t = make(5)
    with torch.autocast("cpu", torch.bfloat16):
        y = run(kan_linear_edges, t)
    assert y.dtype == torch.float64
    torch.testing.assert_close(y, run(kan_linear_reference, t), rtol=1e-12, atol=1e-12)


def test_backward_inside_autocast_equals_backward_outside() -> None:
    t = make(5, dtype=torch.float32)
    dy = torch.randn(5, 4)
    y = run(kan_linear_edges, t)
    outside = torch.autograd.grad(y, list(t.values()), dy, retain_graph=True)
    with torch.autocast("cpu", torch.bfloat16):
        inside = torch.autograd.grad(y, list(t.values()), dy)
    assert all(torch.equal(a, b) for a, b in zip(inside, outside, strict=True))


def test_weights_changed_in_place_before_the_backward_are_noticed() -> None:
    t = make(3)
    y = run(kan_linear_edges, t)
    with torch.no_grad():
        t["scale"].mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()
