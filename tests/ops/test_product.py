"""The products by convolution: equal to float64, and chosen only where they were measured to be faster."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from fasterkan import KANLinear
from fasterkan.ops import product
from fasterkan.ops.product import LEAST, convolution_is_faster, rows_gradient, rows_product

from ..seeds import seed_of


@pytest.fixture(params=["product", "convolution"])
def form(request, monkeypatch):
    monkeypatch.setattr(product, "convolution_is_faster", lambda *tensors: request.param == "convolution")
    return request.param


@pytest.mark.parametrize(("n", "c", "o"), [(1, 1, 1), (3, 5, 7), (64, 1023, 65), (129, 6272, 64)])
def test_both_forms_are_the_same_sums(form, n, c, o):
    rows, weight, dy = torch.randn(n, c), torch.randn(o, c), torch.randn(n, o)
    for found, a, b in (
        (rows_product(rows, weight), rows, weight.t()),
        (rows_gradient(dy, weight), dy, weight),
    ):
        exact, scale = a.double() @ b.double(), a.double().abs() @ b.double().abs()
        assert found.shape == exact.shape and found.dtype == torch.float32
        assert ((found - exact).abs() <= 2e-6 * scale).all()


def test_rows_stay_apart(form):
    rows, weight = torch.randn(9, 40), torch.randn(70, 40)
    rows[4] = torch.nan
    found = rows_product(rows, weight)
    assert found[4].isnan().all() and found[[0, 1, 2, 3, 5, 6, 7, 8]].isfinite().all()


def test_strided_rows(form):
    rows, weight, dy = torch.randn(40, 9).t(), torch.randn(40, 70).t(), torch.randn(70, 9).t()
    torch.testing.assert_close(rows_product(rows, weight), rows @ weight.t(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(rows_gradient(dy, weight), dy @ weight, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("rows", "outputs", "dtype", "slow", "expected"),
    [
        (64, 256, torch.float32, True, True),
        (64, 256, torch.float32, False, False),
        (64, 256, torch.float64, True, False),
        (64, 256, torch.bfloat16, True, False),
        (2, 256, torch.float32, True, False),
        (8000, 10, torch.float32, True, False),
    ],
    ids=["large", "another processor", "float64", "bfloat16", "few rows", "few outputs"],
)
def test_where_it_is_chosen(monkeypatch, rows, outputs, dtype, slow, expected):
    monkeypatch.setattr(product, "slow_products", lambda: slow)
    weight = torch.empty(outputs, LEAST // 256 // 64, dtype=dtype)
    assert convolution_is_faster(torch.empty(rows, weight.shape[1], dtype=dtype), weight) is expected


@pytest.mark.parametrize(
    ("vendor", "mkl", "mkldnn", "slow"),
    [
        ("AuthenticAMD", True, True, True),
        ("GenuineIntel", True, True, False),
        ("AuthenticAMD", False, True, False),
        ("AuthenticAMD", True, False, False),
    ],
)
def test_slow_products_are_those_of_mkl_on_amd(monkeypatch, vendor, mkl, mkldnn, slow):
    monkeypatch.setattr(product.Path, "is_file", lambda path: str(path) == "/proc/cpuinfo")
    monkeypatch.setattr(product.Path, "read_text", lambda path, **options: f"vendor_id : {vendor}\n")
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: mkl)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: mkldnn)
    product.slow_products.cache_clear()
    try:
        assert product.slow_products() is slow
    finally:
        product.slow_products.cache_clear()


@pytest.mark.parametrize("faster", [True, False], ids=["convolution", "product"])
def test_the_library_that_is_faster_is_used(monkeypatch, faster):
    used = []
    for name in ("conv2d", "linear"):
        own = getattr(F, name)
        monkeypatch.setattr(product.F, name, lambda *a, own=own, name=name, **k: used.append(name) or own(*a, **k))
    own_input = product.conv2d_input
    monkeypatch.setattr(product, "conv2d_input", lambda *a, **k: used.append("conv2d_input") or own_input(*a, **k))
    monkeypatch.setattr(product, "convolution_is_faster", lambda rows, weight: faster)
    rows_product(torch.randn(3, 8), torch.randn(5, 8), torch.randn(5))
    rows_gradient(torch.randn(3, 5), torch.randn(5, 8))
    assert used == (["conv2d", "conv2d_input"] if faster else ["linear"])


def test_a_whole_layer(form):
    torch.manual_seed(seed_of(0))
    layer, x = KANLinear(50, 70), torch.randn(33, 50)
    exact = KANLinear(50, 70, dtype=torch.float64)
    exact.load_state_dict(layer.state_dict())
    results = []
    for net, inputs in ((layer, x), (exact, x.double())):
        inputs = inputs.requires_grad_()
        y = net(inputs)
        y.square().sum().backward()
        results.append((y.detach(), inputs.grad, net.weight.grad))
    for found, want in zip(*results, strict=True):
        assert float((found - want).norm() / want.norm()) < 2e-6
