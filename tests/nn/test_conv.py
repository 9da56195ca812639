"""KANConv1d/2d/3d against patches of the padded z and the plain formula, in every way torch can call them."""

from __future__ import annotations

import copy
import itertools
import math
import pickle
import warnings
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import gradcheck, gradgradcheck

import fasterkan as fk
from fasterkan.ops import conv_recompute
from fasterkan.testing.layer import as_function, third_derivative

from ..seeds import seed_of

BASIS = fk.RSWAF(num_grids=3, train_grid=True, train_inv_denominator=True)
PER_CHANNEL = fk.RSWAF(num_grids=3, train_grid=True, train_inv_denominator=True, per_feature=True)
CLASSES = {1: fk.KANConv1d, 2: fk.KANConv2d, 3: fk.KANConv3d}
SIZES = {1: (11,), 2: (7, 6), 3: (5, 4, 6)}
PATHS = ("auto", "reference")


def make(ndim: int = 2, *args: Any, dtype: torch.dtype = torch.float64, **options: Any) -> Any:
    """A layer with no tensor at a special value, calibrated if it can be."""
    args = args or (4, 6, 3)
    layer = CLASSES[ndim](*args, **{"basis": BASIS, **options}, dtype=dtype)
    with torch.no_grad():
        for p in layer.parameters():
            p.add_(0.1 * torch.randn_like(p))
    if options.get("norm") == "feature":
        layer.calibrate(torch.randn(20, layer.in_channels, *SIZES[ndim], dtype=dtype))
        layer.freeze()
    return layer


def image(layer: Any, batch: int = 2, sizes: tuple[int, ...] | None = None, requires_grad: bool = False) -> Tensor:
    shape = (batch, layer.in_channels, *(sizes or SIZES[layer.ndim]))
    return torch.randn(shape, dtype=layer.weight.dtype, requires_grad=requires_grad)


def normed(layer: Any, x: Tensor) -> Tensor:
    """z [B, C, *S] by the definitions: LayerNorm or RMSNorm over each group's channels, or c and s of each channel."""
    shape = (1, -1, *[1] * layer.ndim)
    norm = layer.norm
    if norm is None:
        return x
    if isinstance(norm, fk.nn.FeatureScaling):
        return (x - norm.center.to(x.dtype).view(shape)) * norm.scale.to(x.dtype).view(shape)
    parts = x.unflatten(1, (layer.groups, -1))
    if isinstance(norm.description, fk.LayerNorm):
        parts = parts - parts.mean(2, keepdim=True)
    unit = (parts / (parts.square().mean(2, keepdim=True) + norm.description.eps).sqrt()).flatten(1, 2)
    z = unit * norm.weight.to(x.dtype).view(shape)
    return z if norm.bias is None else z + norm.bias.to(x.dtype).view(shape)


def at(index: int, size: int, mode: str) -> int | None:
    """Where position `index` of the padded image lies in the image, None in the zeros around it."""
    if 0 <= index < size:
        return index
    if mode == "zeros":
        return None
    if mode == "circular":
        return index % size
    if mode == "replicate":
        return min(max(index, 0), size - 1)
    return -index if index < 0 else 2 * (size - 1) - index


def padded(layer: Any, z: Tensor, padding: Any) -> Tensor:
    """z with its borders, built position by position; an asymmetric "same" puts the odd one behind."""
    for n in range(layer.ndim):
        span = layer.dilation[n] * (layer.kernel_size[n] - 1)
        width = padding if isinstance(padding, int) else padding[n] if isinstance(padding, tuple) else None
        before, after = (width, width) if width is not None else (span // 2, span - span // 2)
        if padding == "valid":
            before = after = 0
        size = z.shape[n + 2]
        places = [at(i, size, layer.padding_mode) for i in range(-before, size + after)]
        columns = [z.select(n + 2, 0) * 0 if i is None else z.select(n + 2, i) for i in places]
        z = torch.stack(columns, n + 2)
    return z


def plain_conv(layer: Any, values: Tensor, weight: Tensor) -> Tensor:
    """sum over c and the kernel of weight [O, C/g, K, *kernel] * values [B, K, C, *S], patch by patch."""
    out_sizes = [
        (n - d * (k - 1) - 1) // s + 1
        for n, k, s, d in zip(values.shape[3:], layer.kernel_size, layer.stride, layer.dilation, strict=True)
    ]
    grouped = values.unflatten(2, (layer.groups, -1))  # [B, K, g, C/g, *S]
    kernels = weight.unflatten(0, (layer.groups, -1))  # [g, O/g, C/g, K, *kernel]
    y = 0
    for tap in itertools.product(*(range(k) for k in layer.kernel_size)):
        window = grouped
        for n, (j, size) in enumerate(zip(tap, out_sizes, strict=True)):
            rows = torch.arange(size) * layer.stride[n] + j * layer.dilation[n]
            window = window.index_select(n + 4, rows)
        y = y + torch.einsum("bkgc...,gock->bgo...", window, kernels[(..., *tap)])
    return y.flatten(1, 2)


def oracle(layer: Any, x: Tensor, padding: Any) -> Tensor:
    """What the layer should return for x [B, C, *S], in x's dtype."""
    tensors = {k: t.to(x.dtype) for k, t in layer.named_parameters()} | {
        k: t.to(x.dtype) for k, t in layer.named_buffers() if t.is_floating_point()
    }
    z = padded(layer, normed(layer, x), padding).movedim(1, -1).unsqueeze(-1)  # [B, *S, C, 1]
    rate = tensors["inv_denominator"].unsqueeze(-1)
    phi = 1 - torch.tanh((z - tensors["grid"]) * rate) ** 2  # [B, *S, C, K]
    y = plain_conv(layer, phi.movedim((-1, -2), (1, 2)), tensors["weight"])
    shape = (1, -1, *[1] * layer.ndim)
    if layer.bias is not None:
        y = y + tensors["bias"].view(shape)
    if layer.base is not None:
        branch = layer.base(padded(layer, x, padding)).unsqueeze(1)
        y = y + plain_conv(layer, branch, tensors["base_weight"].unsqueeze(2))
    return y


def assert_right(layer: Any, x: Tensor, padding: Any, tolerance: float = 1e-10) -> None:
    """y and every gradient on each path are those of the oracle."""
    leaves = {"x": x.requires_grad_(), **dict(layer.named_parameters())}
    expected = oracle(layer, x, padding)
    dy = torch.randn_like(expected)
    wanted = torch.autograd.grad(expected, list(leaves.values()), dy, materialize_grads=True)
    for path in PATHS:
        layer.path = path
        y = layer(x)
        torch.testing.assert_close(y, expected, rtol=tolerance, atol=tolerance)
        found = torch.autograd.grad(y, list(leaves.values()), dy, materialize_grads=True)
        for name, a, b in zip(leaves, found, wanted, strict=True):
            assert torch.allclose(a, b, rtol=tolerance, atol=tolerance * max(1.0, b.abs().max().item())), (path, name)
    layer.path = "auto"


OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "padded": {"padding": 1},
    "padded unequally": {"padding": (2, 0)},
    "same": {"padding": "same"},
    "same, even kernel": {"padding": "same", "kernel_size": (4, 2)},
    "valid": {"padding": "valid"},
    "stride": {"stride": 2, "padding": 1},
    "strides": {"stride": (1, 3), "padding": 2},
    "dilation": {"dilation": 2, "padding": 2},
    "dilated same": {"dilation": (2, 1), "padding": "same"},
    "groups": {"groups": 2, "padding": 1},
    "groups of three": {"groups": 2, "in_channels": 6, "padding": 1},
    "one pixel": {"kernel_size": 1},
    "a row": {"kernel_size": (1, 5), "padding": (0, 2)},
    "no bias": {"bias": False},
    "base": {"base": "silu", "padding": 1},
    "base without a zero": {"base": torch.cos, "padding": 1, "padding_mode": "zeros"},
    "rms": {"norm": "rms", "padding": 1},
    "rms, groups": {"norm": "rms", "padding": 1, "groups": 2},
    "constant gain": {"norm": fk.LayerNorm(affine=False), "padding": 1},
    "feature": {"norm": "feature", "padding": 1},
    "feature, depthwise": {"norm": "feature", "groups": 4, "out_channels": 8, "padding": 1},
    "no norm": {"norm": None, "padding": 1},
    "a basis for each channel": {"basis": PER_CHANNEL, "groups": 2, "padding": 1},
    **{f"{mode}": {"padding": 2, "padding_mode": mode} for mode in ("reflect", "replicate", "circular")},
    **{f"{m} same": {"padding": "same", "padding_mode": m, "base": "silu"} for m in ("reflect", "circular")},
}


@pytest.mark.filterwarnings("ignore:LayerNorm of two features")
@pytest.mark.parametrize("case", OPTIONS)
def test_two_dimensions(case: str) -> None:
    options = {"in_channels": 4, "out_channels": 6, "kernel_size": 3, **OPTIONS[case]}
    sizes = [options.pop(k) for k in ("in_channels", "out_channels", "kernel_size")]
    layer = make(2, *sizes, **options)
    assert_right(layer, image(layer), options.get("padding", 0))


@pytest.mark.filterwarnings("ignore:LayerNorm of two features")
@pytest.mark.parametrize("ndim", [1, 3])
@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
def test_other_dimensions(ndim: int, mode: str) -> None:
    options = {"stride": 2, "padding": 1, "groups": 2, "base": "gelu", "padding_mode": mode}
    layer = make(ndim, 4, 2, 3, **options)
    assert_right(layer, image(layer), 1)
    layer = make(ndim, 3, 2, 2, dilation=2, padding="same", padding_mode=mode)
    assert_right(layer, image(layer), "same")


@pytest.mark.parametrize("sizes", [(1, 1), (1, 7), (13, 2), (3, 3), (31, 5)])
def test_odd_sizes(sizes: tuple[int, int]) -> None:
    layer = make(2, 5, 3, 3, padding=1)
    assert_right(layer, image(layer, 3, sizes), 1)


@pytest.mark.parametrize("kept", [True, False], ids=["kept", "rebuilt"])
@pytest.mark.parametrize("images", [1, 2, 5])
def test_chunks_of_images(kept: bool, images: int, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = make(2, 3, 2, 3, padding=1, base="silu")
    monkeypatch.setattr(conv_recompute, "KEEP_BYTES", 1 << 30 if kept else 0)
    monkeypatch.setattr(conv_recompute, "CHUNK_BYTES", {"cpu": images * 9 * 8 * 3 * 3 * 8, "cuda": 1})
    assert_right(layer, image(layer, 5), 1)


def saved_bytes(layer: Any, x: Tensor) -> int:
    """Bytes kept for the backward, but those of x, z and the parameters."""
    known, total = {t.data_ptr() for t in (x, *layer.parameters(), *layer.buffers())}, 0

    def pack(t: Tensor) -> Tensor:
        nonlocal total
        total += 0 if t.data_ptr() in known else t.numel() * t.element_size()
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        layer(x)
    return total


def test_the_basis_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = make(2, 4, 4, 3, padding=1, norm=None)
    x = image(layer, 8, requires_grad=True)
    z = 8 * 9 * 8 * 4 * 8
    monkeypatch.setattr(conv_recompute, "KEEP_BYTES", 0)
    assert saved_bytes(layer, x) == z
    monkeypatch.setattr(conv_recompute, "KEEP_BYTES", 1 << 30)
    assert saved_bytes(layer, x) == z + 3 * z * BASIS.num_basis
    layer.path = "reference"
    assert saved_bytes(layer, x) > z * BASIS.num_basis


def test_a_second_backward_gives_the_same_bits() -> None:
    layer = make()
    loss = layer(image(layer)).square().sum()
    first = torch.autograd.grad(loss, list(layer.parameters()), retain_graph=True)
    second = torch.autograd.grad(loss, list(layer.parameters()))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("wanted", ["x", "weight", "bias", "grid", "inv_denominator"])
def test_one_gradient_alone(wanted: str) -> None:
    layer = make(2, 4, 3, 3, padding=1, norm=None)
    x = image(layer)
    layer.requires_grad_(False)
    leaf = x if wanted == "x" else dict(layer.named_parameters())[wanted]
    leaf.requires_grad_()
    (got,) = torch.autograd.grad(layer(x).square().sum(), leaf)
    (expected,) = torch.autograd.grad(oracle(layer, x, 1).square().sum(), leaf)
    torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_gradcheck(ndim: int) -> None:
    layer = make(ndim, 3, 2, 2, padding=1, base="silu")
    f, args = as_function(layer, image(layer, 2, (3,) * ndim if ndim < 3 else (2, 2, 2)))
    assert gradcheck(f, args, check_forward_ad=True, fast_mode=ndim == 3)
    assert gradgradcheck(f, args, fast_mode=True)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_gradcheck_of_padding_modes(mode: str) -> None:
    layer = make(2, 3, 2, 3, padding=1, padding_mode=mode)
    f, args = as_function(layer, image(layer, 1, (3, 3)))
    assert gradcheck(f, args, fast_mode=True) and gradgradcheck(f, args, fast_mode=True)


def test_third_derivative() -> None:
    layer = make(2, 3, 2, 2, padding=1)
    x = image(layer, 1, (2, 2), requires_grad=True)
    got, expected = third_derivative(layer(x), x), third_derivative(oracle(layer, x, 1), x)
    torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-9)


def test_functional_transforms() -> None:
    layer = make(2, 3, 2, 3, padding=1, base="silu")
    x, weights = image(layer, 4, (3, 3)), dict(layer.named_parameters())

    def one(values: dict[str, Tensor], picture: Tensor) -> Tensor:
        return torch.func.functional_call(layer, values, (picture,))

    torch.testing.assert_close(torch.func.vmap(one, (None, 0))(weights, x), layer(x))
    reverse = torch.func.jacrev(one, argnums=1)(weights, x[0])
    torch.testing.assert_close(reverse, torch.func.jacfwd(one, argnums=1)(weights, x[0]))
    each = torch.func.vmap(torch.func.grad(lambda w, p: one(w, p).square().sum()), (None, 0))(weights, x)
    layer(x).square().sum().backward()
    for name, p in layer.named_parameters():
        torch.testing.assert_close(each[name].sum(0), p.grad)


def test_batched_backward() -> None:
    layer = make(2, 3, 2, 2, norm=None)
    x = image(layer, 1, (3, 2))
    looped = torch.autograd.functional.jacobian(layer, x)
    torch.testing.assert_close(torch.autograd.functional.jacobian(layer, x, vectorize=True), looped)


def test_compile_sees_one_graph() -> None:
    torch._dynamo.reset()
    layer = make(2, 3, 4, 3, padding=1, base="silu", dtype=torch.float32)
    x = image(layer, requires_grad=True)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), layer(x), rtol=1e-5, atol=1e-5)
    found, wanted = (torch.autograd.grad(f(x).square().sum(), layer.weight)[0] for f in (compiled, layer))
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("path", PATHS)
def test_autocast(path: str, dtype: torch.dtype) -> None:
    layer = make(2, 16, 8, 3, padding=1, base="silu", dtype=torch.float32)
    layer.path, exact = path, copy.deepcopy(layer).double()
    x = image(layer, 4)
    with torch.autocast("cpu", dtype):
        y = layer(x.requires_grad_())
    assert y.dtype == dtype
    leaves, twins = [x, *layer.parameters()], [x.detach().double().requires_grad_(), *exact.parameters()]
    expected = oracle(exact, twins[0], 1)
    found = torch.autograd.grad(y, leaves, torch.ones_like(y))
    wanted = torch.autograd.grad(expected, twins, torch.ones_like(expected))
    for got, want in zip((y, *found), (expected, *wanted), strict=True):
        assert (got.double() - want).norm() <= 3e-2 * want.norm()
    assert all(g.dtype == torch.float32 for g in found)


def test_bfloat16_weights() -> None:
    layer = make(2, 8, 4, 3, padding=1, base="silu", dtype=torch.bfloat16)
    x = image(layer)
    y = layer(x)
    y.sum().backward()
    assert y.dtype == layer.weight.grad.dtype == torch.bfloat16
    expected = oracle(copy.deepcopy(layer).double(), x.double(), 1)
    assert (y.double() - expected).norm() <= 2e-2 * expected.norm()


def term_by_term(panel: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The convolution [B, O, *S'] of a padded panel [B, C, H, W], one term added after another in the panel's dtype."""
    columns, rows = F.unfold(panel, weight.shape[2:]), weight.flatten(1)  # [B, T, S'], [O, T]
    y = bias.unsqueeze(1)
    for n in range(rows.shape[1]):
        y = y + rows[:, n, None] * columns[:, n, None]
    return y.unflatten(2, [panel.shape[n] - weight.shape[n] + 1 for n in (2, 3)])


@torch.no_grad()
def test_float32_error_is_that_of_a_sum_term_by_term() -> None:
    """A sum in any order has partial sums of the same size, so also their roundings; several accumulators have less."""
    squares = torch.zeros(2, dtype=torch.float64)
    for _ in range(8):
        layer = make(2, 16, 8, 3, padding=1, dtype=torch.float32)
        x = image(layer, 4)
        expected = oracle(copy.deepcopy(layer).double(), x.double(), 1)
        z = F.pad(F.layer_norm(x.movedim(1, -1), (16,), layer.norm.weight, layer.norm.bias), (0, 0, 1, 1, 1, 1))
        panel = BASIS.evaluate(z, layer.basis_tensors()).flatten(-2).movedim(-1, 1)
        plain = term_by_term(panel, layer.weight.flatten(1, 2), layer.bias)
        squares += torch.stack([(y.double() - expected).square().mean() for y in (layer(x), plain)])
    error, yardstick = squares.sqrt().tolist()
    assert error <= 1.5 * yardstick  # measured: 0.88 to 1.13 over 20 draws


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_one_image_without_a_batch(ndim: int) -> None:
    layer = make(ndim, 4, 3, 3, padding=1, base="silu")
    x = image(layer, 1, requires_grad=True)
    torch.testing.assert_close(layer(x[0]), layer(x)[0], rtol=0, atol=0)


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("path", PATHS)
def test_an_empty_batch(mode: str, path: str) -> None:
    layer = make(2, 4, 3, 3, padding=1, base="silu", padding_mode=mode)
    layer.path = path
    x = image(layer, 0, requires_grad=True)
    y = layer(x)
    assert y.shape == (0, 3, 7, 6)
    y.sum().backward()
    assert x.grad is not None and x.grad.shape == x.shape
    assert torch.equal(layer.weight.grad, torch.zeros_like(layer.weight))


def test_input_layouts() -> None:
    layer = make(2, 4, 3, 3, padding=1, base="silu")
    x = image(layer)
    expected = layer(x)
    twice = torch.empty(2, 8, 14, 12, dtype=x.dtype)
    twice[:, ::2, ::2, ::2] = x
    for other in (x.contiguous(memory_format=torch.channels_last), x.mT.contiguous().mT, twice[:, ::2, ::2, ::2]):
        torch.testing.assert_close(layer(other), expected, rtol=1e-12, atol=1e-12)
    assert expected.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf], ids=str)
def test_hostile_values_stay_under_the_kernel(value: float) -> None:
    layer = make(2, 4, 3, 3, padding=1, dtype=torch.float32)
    x = image(layer, 3, (9, 9))
    clean = layer(x)
    x[1, 2, 4, 4] = value
    y = layer(x.requires_grad_())
    y[:, :, :2].sum().backward()
    touched = torch.zeros(3, 3, 9, 9, dtype=torch.bool)
    touched[1, :, 3:6, 3:6] = True
    torch.testing.assert_close(y[~touched], clean[~touched])
    assert torch.isnan(y[touched]).all()
    assert torch.isfinite(x.grad[[0, 2]]).all() and torch.isfinite(x.grad[1, :, :3]).all()


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1e3, 1e18])
def test_any_scale_gives_finite_numbers(scale: float) -> None:
    layer = make(2, 4, 3, 3, padding=1, dtype=torch.float32)
    x = (image(layer) * scale).requires_grad_()
    y = layer(x)
    y.sum().backward()
    assert all(torch.isfinite(t).all() for t in (y, x.grad, *(p.grad for p in layer.parameters())))


def test_zeros_around_the_image_are_zeros_of_z() -> None:
    """An image of z = 0 and its border are the same, so that every position sees the same constant, phi(0)."""
    layer = make(2, 4, 3, 3, padding=2, norm=None, bias=False)
    y = layer(torch.zeros(1, 4, 5, 5, dtype=torch.float64))
    torch.testing.assert_close(y, y[:, :, :1, :1].expand_as(y))
    assert y.abs().min() > 1e-6


def test_one_pixel_kernel_is_the_linear_layer() -> None:
    layer = make(2, 4, 3, 1, base="silu")
    linear = fk.KANLinear(4, 3, BASIS, base="silu", dtype=torch.float64)
    state = {k: t.flatten(2).squeeze(-1) if k == "base_weight" else t for k, t in layer.state_dict().items()}
    state["weight"] = layer.weight.detach().flatten(3).squeeze(-1)
    linear.load_state_dict(state)
    x = image(layer)
    torch.testing.assert_close(layer(x), linear(x.movedim(1, -1)).movedim(-1, 1), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("options", [{}, {"groups": 4}, {"base": "silu"}, {"norm": "rms", "stride": 2}], ids=str)
def test_outputs_start_with_variance_one(options: dict[str, Any]) -> None:
    layer = fk.KANConv2d(32, 512, 3, **options)
    assert layer(torch.randn(4, 32, 12, 12)).square().mean().item() == pytest.approx(1, abs=0.15)


def test_weights_follow_the_generator() -> None:
    twins = [fk.KANConv2d(4, 6, 3, base="silu", generator=torch.Generator().manual_seed(seed_of(3))) for _ in range(2)]
    assert all(torch.equal(a, b) for a, b in zip(*(t.state_dict().values() for t in twins), strict=True))


def test_copies_pickles_and_meta() -> None:
    layer = make(2, 4, 3, 3, padding=1, base="silu")
    x = image(layer)
    expected = layer(x)
    empty = fk.KANConv2d(4, 3, 3, padding=1, base="silu", basis=BASIS, device="meta", dtype=torch.float64)
    empty.load_state_dict(layer.state_dict(), assign=True)
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), empty):
        assert torch.equal(twin(x), expected)
    assert fk.KANConv2d(4, 3, 3, padding=1, device="meta")(torch.empty(2, 4, 5, 5, device="meta")).shape == (2, 3, 5, 5)


@pytest.mark.parametrize("groups", [1, 2])
def test_a_moved_feature_norm_keeps_the_functions(groups: int) -> None:
    layer = make(2, 4, 6, 3, norm="feature", groups=groups, basis=fk.RSWAF(num_grids=8))
    # Functions as smooth as those of training, half a wave over the grid: then moved bumps can make them again up to
    # the missing tails at the ends of the range. Random weights are as rough as the grid
    # is fine; nothing can keep those.
    with torch.no_grad():
        shape = (*layer.edge_weights().shape[:-1], 1)
        waves = torch.sin(2 * torch.linspace(-1, 1, 8).double() + 6 * torch.rand(shape).double()) / 8
        layer.weight.copy_(layer.with_edge_weights(waves))
    x = image(layer, 8)
    before, stubborn = layer(x), copy.deepcopy(layer.weight)
    each = torch.tensor([1.05, 1.0, 1.02, 1.1], dtype=torch.float64).view(1, -1, 1, 1)
    errors = layer.calibrate(each * x + each - 1)
    assert errors[""] < 2e-2
    change = (layer(x) - before).norm()
    assert change < 2e-2 * before.norm()
    with torch.no_grad():
        layer.weight.copy_(stubborn)
    assert change < 0.5 * (layer(x) - before).norm()


def test_fold_takes_the_feature_norm_in() -> None:
    layer = make(2, 4, 6, 3, norm="feature")
    x = image(layer)
    expected = layer(x)
    layer.fold()
    assert layer.norm is None
    torch.testing.assert_close(layer(x), expected, rtol=1e-10, atol=1e-10)


def test_param_groups_know_a_convolution() -> None:
    layer = make(2, 4, 6, 3, basis=PER_CHANNEL, base="silu")
    groups = {g["name"]: {id(p) for p in g["params"]} for g in fk.param_groups(layer)}
    assert groups["weights"] == {id(layer.weight), id(layer.base_weight)}
    assert groups["basis"] == {id(layer.grid), id(layer.inv_denominator)}


def test_a_module_as_norm_sees_channels_last() -> None:
    layer = make(2, 4, 3, 3, norm=nn.LayerNorm(4, dtype=torch.float64))
    x = image(layer)
    y, z = layer(x), layer.norm(x.movedim(1, -1)).movedim(-1, 1)
    layer.norm = None
    torch.testing.assert_close(y, layer(z), rtol=1e-12, atol=1e-12)


def test_one_channel_a_group_is_refused_and_two_warned_of() -> None:
    for options in ({"groups": 4}, {"groups": 4, "norm": "rms"}):
        with pytest.raises(ValueError, match=r"KANConv2d: a group has one channel \(in_channels 4, groups 4\)"):
            fk.KANConv2d(4, 4, 3, **options)
    with pytest.raises(ValueError, match='use norm="feature"'):
        fk.KANConv2d(1, 4, 3)
    for options in ({"in_channels": 2}, {"in_channels": 4, "groups": 2}):
        with pytest.warns(UserWarning, match="LayerNorm of two features") as caught:
            fk.KANConv2d(out_channels=4, kernel_size=3, **options)
        assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fk.KANConv2d(1, 4, 3, norm="feature")


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"in_channels": 0}, ValueError, "in_channels must be at least 1, got 0"),
        ({"kernel_size": 0}, ValueError, "kernel_size must be at least 1, got 0"),
        ({"kernel_size": (3, 3, 3)}, ValueError, r"kernel_size has 3 numbers, expected 2 or one for all"),
        ({"kernel_size": 2.5}, TypeError, "kernel_size must be a whole number, got 2.5"),
        ({"stride": 0}, ValueError, "stride must be at least 1, got 0"),
        ({"dilation": (1, 0)}, ValueError, r"dilation\[1\] must be at least 1, got 0"),
        ({"padding": -1}, ValueError, "padding must be at least 0, got -1"),
        ({"padding": "full"}, ValueError, 'padding must be numbers, "same" or "valid"; got \'full\''),
        ({"padding": "same", "stride": 2}, ValueError, r'padding="same" needs stride 1, got \(2, 2\)'),
        ({"padding_mode": "mirror"}, ValueError, "padding_mode must be one of zeros, reflect, replicate, circular"),
        ({"groups": 3}, ValueError, "in_channels 4 is not a multiple of groups 3"),
        ({"groups": 2, "out_channels": 3}, ValueError, "out_channels 3 is not a multiple of groups 2"),
        ({"basis": "rswaf"}, TypeError, "basis must be a Basis"),
        ({"dtype": torch.int64}, TypeError, "dtype must be a floating-point dtype"),
        ({"norm": "batch"}, ValueError, "norm must be"),
        ({"base": "swish"}, ValueError, "base must be"),
    ],
    ids=lambda value: None if isinstance(value, type) else str(value),
)
def test_refused_arguments(options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        fk.KANConv2d(**{"in_channels": 4, "out_channels": 6, "kernel_size": 3, **options})


@pytest.mark.parametrize(
    ("shape", "options", "words"),
    [
        ((2, 3, 5, 5), {}, r"x is \(2, 3, 5, 5\), expected \[B, C, H, W\] or without B, in_channels C is 4"),
        ((5, 5), {}, r"x is \(5, 5\), expected"),
        ((4,), {}, r"x is \(4,\), expected"),
        ((2, 4, 2, 5), {}, r"too small for kernel_size \(3, 3\)"),
        ((2, 4, 4, 4), {"dilation": 2}, "too small for"),
        ((2, 4, 0, 4), {"padding": 1}, "too small for"),
        ((2, 4, 3, 3), {"padding": 3, "padding_mode": "reflect"}, "cannot add 3 positions, at most 2"),
        ((2, 4, 0, 3), {"padding": 1, "padding_mode": "reflect"}, "cannot add 1 positions, at most 0"),
        ((2, 4, 3, 3), {"padding": 4, "padding_mode": "circular"}, "cannot add 4 positions, at most 3"),
        ((2, 4, 0, 3), {"padding": 2, "padding_mode": "replicate"}, "cannot add 2 positions, at most 0"),
    ],
    ids=str,
)
def test_refused_inputs(shape: tuple[int, ...], options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make(2, dtype=torch.float32, **options)(torch.randn(shape))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "bias=True"),
        ({"bias": False}, "bias=False"),
        ({"base": "silu"}, "base=silu, bias=True"),
        ({"base": "tanh", "base_input": "z", "bias": False}, 'base=tanh, base_input="z", bias=False'),
    ],
    ids=["plain", "no bias", "base", "base on z"],
)
def test_repr_tells_the_layer(options: dict[str, Any], words: str) -> None:
    layer = fk.KANConv2d(4, 6, 3, stride=2, basis=fk.Hat(5), norm=None, **options)
    assert repr(layer).partition("\n")[0].startswith("KANConv2d(")
    assert f"4, 6, kernel_size=(3, 3), stride=(2, 2), basis={fk.Hat(5)}, {words}" in repr(layer)


def test_refused_kinds_of_input() -> None:
    layer = make(2, dtype=torch.float32)
    with pytest.raises(TypeError, match="KANConv2d: x must be a tensor, got list"):
        layer([[1.0]])
    with pytest.raises(TypeError, match=r"x is torch.uint8, a floating-point tensor is needed"):
        layer(torch.zeros(1, 4, 5, 5, dtype=torch.uint8))
    with pytest.raises(TypeError, match=r"x is torch.float64, the weights are torch.float32; use x.to"):
        layer(torch.zeros(1, 4, 5, 5, dtype=torch.float64))
    layer.path = "recompute"
    with pytest.raises(RuntimeError, match='path="recompute" is impossible here'):
        torch.func.vmap(layer)(torch.randn(2, 4, 5, 5))


def test_a_basis_with_tensors_for_each_edge_is_refused() -> None:
    class Edgewise(fk.RSWAF):
        per_edge = True

    with pytest.raises(ValueError, match="Edgewise has tensors for each edge"):
        fk.KANConv2d(4, 6, 3, basis=Edgewise())


@pytest.mark.parametrize(
    "basis",
    [
        BASIS,
        fk.Gaussian(num_grids=4),
        fk.BSpline(grid_size=3),
        fk.Chebyshev(degree=3),
        fk.Fourier(2),
        fk.Hat(num_grids=4),
    ],
    ids=lambda basis: type(basis).__name__,
)
def test_agrees_with_torch_on_patches(basis: fk.Basis) -> None:
    """torch's own unfold, as a second oracle."""
    layer = make(2, 4, 6, 3, stride=2, padding=1, dilation=2, norm=None, bias=False, basis=basis)
    x = image(layer, 3, (9, 8))
    patches = F.unfold(F.pad(x, (1, 1, 1, 1)), 3, dilation=2, stride=2).mT  # [B, P, C * 9]
    phi = basis.evaluate(patches, layer.basis_tensors())  # [B, P, C * 9, K]
    weight = layer.weight.flatten(3).permute(0, 1, 3, 2).flatten(1, 2)  # [O, C * 9, K]
    expected = torch.einsum("bpik,oik->bop", phi, weight)
    torch.testing.assert_close(layer(x).flatten(2), expected, rtol=1e-11, atol=1e-11)
    found, wanted = (torch.autograd.grad(y.square().sum(), layer.weight)[0] for y in (layer(x), expected))
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10)
