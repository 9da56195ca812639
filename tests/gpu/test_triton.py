"""The eager path of the kernels on a CUDA device: large shapes, autocast, memory, graphs, and no waiting."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

import fasterkan as fk
from fasterkan.testing.layer import check_against_float64, gradients

from .test_calibration import no_waiting
from .test_cuda import formula

pytestmark = pytest.mark.gpu
two_gpus = pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")

BASES = {
    "RSWAF": fk.RSWAF(train_grid=True, train_inv_denominator=True),
    "Gaussian": fk.Gaussian(per_feature=True, train_grid=True, train_denominator=True),
    "BSpline": fk.BSpline(),
    "BSpline-constant": fk.BSpline(outside="constant"),
    "BSpline-linear": fk.BSpline(outside="linear", degree=2),
    "Hat": fk.Hat(),
    "Chebyshev": fk.Chebyshev(),
    "Legendre": fk.Legendre(),
    "Fourier": fk.Fourier(),
    "Sine": fk.Sine(train_phase=True),
    "ReLUBump": fk.ReLUBump(train=True),
}


@pytest.fixture(autouse=True)
def whole_float32() -> Iterator[None]:
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    yield
    torch.backends.cuda.matmul.allow_tf32 = before


def layer_of(basis: fk.Basis, inputs: int, outputs: int, norm: object = "layer") -> fk.KANLinear:
    layer = fk.KANLinear(inputs, outputs, basis, norm=norm, device="cuda")  # type: ignore[arg-type]
    if norm == "feature":
        layer.calibrate(torch.randn(500, inputs, device="cuda"))
        layer.freeze()
    layer.path = "triton"
    return layer


def network(layers: list[int], path: str = "triton", **options: object) -> fk.KAN:
    net = fk.KAN(layers, device="cuda", **options)  # type: ignore[arg-type]
    for layer in net.kan_layers():
        layer.path = path
    return net


def relative_errors(layer: fk.KANLinear, x: Tensor) -> dict[str, float]:
    """The error of y and of each gradient against float64, over the norm of the exact one."""
    assert fk.which_path(layer, x) == ("triton", "requested")
    got = gradients(layer, x.detach().requires_grad_())
    exact = gradients(copy.deepcopy(layer).double(), x.detach().double().requires_grad_())
    return {k: float((got[k].double() - v).norm() / v.norm().clamp_min(1e-9)) for k, v in exact.items()}


@pytest.mark.parametrize("norm", ["layer", "rms", "feature", None], ids=str)
@pytest.mark.parametrize("basis", BASES)
def test_float32(basis: str, norm: str | None) -> None:
    errors = relative_errors(layer_of(BASES[basis], 130, 70, norm), torch.randn(513, 130, device="cuda"))
    bound = 1e-2 if basis == "Hat" else 1e-5  # the slope of a hat jumps at the points of the grid
    assert errors["y"] < 1e-5
    assert max(errors.values()) < bound, errors


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize(("inputs", "outputs"), [(1024, 1000), (784, 256), (33, 10), (4097, 20)])
def test_autocast(inputs: int, outputs: int, dtype: torch.dtype) -> None:
    layer = layer_of(BASES["RSWAF"], inputs, outputs)
    check_against_float64(layer, formula, lambda: torch.randn(515, inputs, device="cuda"), autocast=dtype)


def test_tf32_is_the_users_setting() -> None:
    layer, x = layer_of(BASES["RSWAF"], 256, 128), torch.randn(512, 256, device="cuda")
    exact = relative_errors(layer, x)["y"]
    torch.backends.cuda.matmul.allow_tf32 = True
    assert 5 * exact < relative_errors(layer, x)["y"] < 2e-3


def test_they_are_only_for_those_who_name_them() -> None:
    layer, x = layer_of(BASES["RSWAF"], 16, 4), torch.randn(3, 16, device="cuda")
    layer.path = "auto"
    assert fk.which_path(layer, x)[0] == "recompute"


def test_float64_is_refused() -> None:
    layer = layer_of(BASES["RSWAF"], 16, 4).double()
    with pytest.raises(RuntimeError, match=r"a tensor is torch\.float64"):
        layer(torch.randn(3, 16, device="cuda", dtype=torch.float64))


def test_no_rows() -> None:
    for dtype in (torch.float32, torch.bfloat16):
        layer, x = layer_of(BASES["RSWAF"], 16, 4), torch.randn(0, 16, device="cuda", requires_grad=True)
        with torch.autocast("cuda", dtype, enabled=dtype != torch.float32):
            layer(x).sum().backward()
        assert all(not p.grad.any() for p in layer.parameters() if p.grad is not None)


def peak(path: str) -> int:
    """The memory of a step beyond the parameters and the data, in bytes."""
    net = network([1024, 1024, 1024], path, first_affine=False)
    x = torch.randn(8192, 1024, device="cuda")
    for _ in range(2):
        net.zero_grad(set_to_none=True)
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        with torch.autocast("cuda", torch.bfloat16):
            net(x).float().square().mean().backward()
    return torch.cuda.max_memory_allocated() - before


def test_the_memory_of_a_step() -> None:
    """Two panels of 128 MiB are kept, one more is the gradient; the rest has the size of x or of the weight."""
    assert peak("triton") < 700 << 20
    assert peak("triton") < 0.5 * peak("reference")


def test_a_step_does_not_wait() -> None:
    net, x = network([64, 32, 10]), torch.randn(100, 64, device="cuda")

    def step() -> None:
        with torch.autocast("cuda", torch.bfloat16):
            net(x).float().square().mean().backward()

    step()
    with no_waiting():
        step()


@pytest.mark.parametrize("autocast", [False, True], ids=["float32", "bfloat16"])
def test_a_step_in_a_cuda_graph(autocast: bool) -> None:
    net, x = network([64, 32, 10]), torch.randn(100, 64, device="cuda")

    def step() -> Tensor:
        net.zero_grad(set_to_none=True)
        with torch.autocast("cuda", torch.bfloat16, enabled=autocast, cache_enabled=False):
            y = net(x)
        y.float().square().mean().backward()
        return y.detach()

    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        y = step()
    kept = [p.grad for p in net.parameters()]
    x.copy_(torch.randn_like(x))
    graph.replay()
    found = [y.clone(), *(g.clone() for g in kept if g is not None)]
    for a, b in zip(found, [step(), *(p.grad for p in net.parameters())], strict=True):
        assert b is not None
        bound = 2e-2 if autocast else 1e-4  # the products may use another algorithm
        torch.testing.assert_close(a, b, rtol=bound, atol=bound)


def test_runs_repeat_to_the_bit() -> None:
    layer, x = layer_of(BASES["RSWAF"], 300, 70), torch.randn(5000, 300, device="cuda", requires_grad=True)
    first, second = (gradients(layer, x) for _ in range(2))
    assert all(torch.equal(first[k], second[k]) for k in first)


def test_more_than_two_billion_values() -> None:
    """N * I * K is above 2^31: the last rows are as exact as alone, and the weight's gradient has all rows."""
    rows, inputs, last = 66_000, 4096, slice(-3, None)
    layer = layer_of(fk.RSWAF(), inputs, 8).bfloat16()
    x = torch.randn(rows, inputs, device="cuda", dtype=torch.bfloat16, requires_grad=True)
    assert rows * inputs * layer.basis.num_basis > 2**31
    y = layer(x)
    dy = torch.zeros_like(y)
    dy[last] = torch.randn_like(dy[last])
    dx, dweight = torch.autograd.grad(y, [x, layer.weight], dy)
    alone = x.detach()[last].clone().requires_grad_()
    z = layer(alone)
    want, dweight_alone = torch.autograd.grad(z, [alone, layer.weight], dy[last])
    torch.testing.assert_close(y[last], z, rtol=2e-2, atol=2e-2)
    torch.testing.assert_close(dx[last], want, rtol=2e-2, atol=2e-2)
    torch.testing.assert_close(dweight, dweight_alone, rtol=2e-2, atol=2e-2)
    assert not dx[:-3].any()


@two_gpus
def test_a_device_that_is_not_the_current_one() -> None:
    layer, x = layer_of(BASES["RSWAF"], 64, 10).to("cuda:1"), torch.randn(50, 64, device="cuda:1")
    found = gradients(layer, x.requires_grad_())
    other = copy.deepcopy(layer).to("cuda:0")
    want = gradients(other, x.detach().to("cuda:0").requires_grad_())
    for name, value in want.items():
        torch.testing.assert_close(found[name].to("cuda:0"), value)
