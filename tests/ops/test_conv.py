"""The convolution as an operation: values, gradients, padding, and what is kept, on every path."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import fasterkan as fk
from fasterkan.ops import ConvGeometry, conv_recompute, kan_conv
from fasterkan.ops.product import convolution_is_faster

BASIS = fk.RSWAF(4, train_grid=True)


def definition(z: Tensor, weight: Tensor, bias: Tensor | None, grid: Tensor, inverse: Tensor, stride: int) -> Tensor:
    """y[n, o, p] = sum_ckj W[o, c, k, j] phi_k(z[n, s p + j, c]) + b[o], one sum after the other; z is padded."""
    phi = 1 - torch.tanh((z.unsqueeze(-1) - grid) * inverse) ** 2  # [B, H, W, C, K]
    kernel = weight.shape[-1]
    size = (z.shape[1] - kernel) // stride + 1
    rows = []
    for h in range(size):
        for w in range(size):
            part = phi[:, h * stride : h * stride + kernel, w * stride : w * stride + kernel]  # [B, k, k, C, K]
            rows.append(torch.einsum("bijck,ockij->bo", part, weight))
    y = torch.stack(rows, -1).unflatten(-1, (size, size))
    return y if bias is None else y + bias[:, None, None]


def tensors(learned: bool = True) -> dict[str, Tensor]:
    params = BASIS.init(3, 2, dtype=torch.float64)
    made = {"z": torch.randn(5, 6, 6, 3).double(), "weight": torch.randn(2, 3, 4, 2, 2).double(), **params}
    made["bias"] = torch.randn(2).double()
    return {k: t.requires_grad_(learned) for k, t in made.items()}


@pytest.mark.parametrize("path", ["recompute", "reference"])
@pytest.mark.parametrize("images", [1, 2, 5], ids=lambda v: f"chunks-of-{v}")
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("padded", [False, True])
def test_values_and_gradients(path: str, images: int, stride: int, padded: bool, monkeypatch) -> None:
    monkeypatch.setattr(conv_recompute, "KEEP_BYTES", 0)
    budget = images * 6 * 6 * 3 * 4 * 8 * (2 if padded else 1)
    monkeypatch.setattr(conv_recompute, "CHUNK_BYTES", {"cpu": budget, "cuda": 1})
    t = tensors()
    pad = (lambda v: torch.nn.functional.pad(v, [0, 0, 1, 1, 1, 1])) if padded else None
    params = {k: t[k] for k in ("grid", "inv_denominator")}
    geometry = ConvGeometry((stride, stride), (1, 1))
    y = kan_conv(t["z"], t["weight"], t["bias"], BASIS, params, geometry, pad=pad, path=path)
    z = t["z"] if pad is None else pad(t["z"])
    want = definition(z, t["weight"], t["bias"], t["grid"], t["inv_denominator"], stride)
    torch.testing.assert_close(y, want, rtol=1e-10, atol=1e-10)
    dy = torch.randn_like(y)
    found = torch.autograd.grad(y, list(t.values()), dy)
    for name, one, other in zip(t, found, torch.autograd.grad(want, list(t.values()), dy), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9, msg=name)


def test_without_a_bias_and_without_gradients() -> None:
    t = tensors(learned=False)
    params = {k: t[k] for k in ("grid", "inv_denominator")}
    y = kan_conv(t["z"], t["weight"], None, BASIS, params, ConvGeometry((1, 1), (1, 1)))
    want = definition(t["z"], t["weight"], None, t["grid"], t["inv_denominator"], 1)
    torch.testing.assert_close(y, want, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("limit", "kept"), [(5 * 6 * 6 * 3 * 4 * 8, True), (5 * 6 * 6 * 3 * 4 * 8 - 1, False)])
def test_a_small_basis_is_kept_and_a_larger_one_is_not(limit: int, kept: bool, monkeypatch) -> None:
    monkeypatch.setattr(conv_recompute, "KEEP_BYTES", limit)
    t = tensors()
    params = {k: t[k] for k in ("grid", "inv_denominator")}
    shapes: list[tuple[int, ...]] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda v: shapes.append(tuple(v.shape)) or v, lambda v: v):
        kan_conv(t["z"], t["weight"], t["bias"], BASIS, params, ConvGeometry((1, 1), (1, 1)))
    assert ((5, 6, 6, 3, 4) in shapes) is kept


def test_a_norm_that_changes_the_shape_is_refused() -> None:
    t = tensors()
    params = {k: t[k] for k in ("grid", "inv_denominator")}
    with pytest.raises(ValueError, match="it must keep the shape"):
        kan_conv(t["z"], t["weight"], None, BASIS, params, ConvGeometry((1, 1), (1, 1)), norm=lambda v: v[..., :2])


def test_few_multiplications_are_not_made_as_convolutions() -> None:
    assert not convolution_is_faster(torch.zeros(4, 8), torch.zeros(64, 8))


@pytest.mark.parametrize("shape", [(0, 6, 6, 3), (5, 2, 6, 3)], ids=["no image", "more images than rows of pixels"])
def test_images_of_any_number_one_after_the_other(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conv_recompute, "KEEP_BYTES", 0)
    monkeypatch.setattr(conv_recompute, "CHUNK_BYTES", {"cpu": 1, "cuda": 1})
    t = {**tensors(), "z": torch.randn(shape).double().requires_grad_()}
    params = {k: t[k] for k in ("grid", "inv_denominator")}
    y, want = (
        kan_conv(t["z"], t["weight"], t["bias"], BASIS, params, ConvGeometry((1, 1), (1, 1)), path=path)
        for path in ("recompute", "reference")
    )
    assert y.shape == (shape[0], 2, shape[1] - 1, shape[2] - 1)
    torch.testing.assert_close(y, want, rtol=1e-10, atol=1e-10)
    dy = torch.randn_like(y)
    for name, *pair in zip(t, *(torch.autograd.grad(each, list(t.values()), dy) for each in (y, want)), strict=True):
        torch.testing.assert_close(*pair, rtol=1e-9, atol=1e-9, msg=name)


def test_a_few_images_are_one_chunk_on_accelerators(monkeypatch: pytest.MonkeyPatch) -> None:
    """Devices without a chunk size of their own, as meta here, have that of CUDA."""
    sizes: list[int] = []
    build = fk.RSWAF.evaluate_for_vjp
    monkeypatch.setattr(fk.RSWAF, "evaluate_for_vjp", lambda self, z, p: sizes.append(len(z)) or build(self, z, p))
    t = {k: v.to("meta") for k, v in tensors(learned=False).items()}
    params = {k: t[k] for k in ("grid", "inv_denominator")}
    kan_conv(t["z"], t["weight"], t["bias"], BASIS, params, ConvGeometry((1, 1), (1, 1)), path="recompute")
    assert sizes == [5]
