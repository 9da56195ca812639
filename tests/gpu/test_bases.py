"""Every basis and the convolutions on a CUDA device, eager, compiled and in a CUDA graph."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import fasterkan as fk

from ..seeds import seed_of

pytestmark = pytest.mark.gpu

BASES = {
    "RSWAF": fk.RSWAF(train_grid=True, train_inv_denominator=True),
    "Gaussian": fk.Gaussian(train_grid=True, train_denominator=True),
    "BSpline": fk.BSpline(),
    "BSpline-fine": fk.BSpline(grid_size=40, degree=3, outside="linear"),
    "BSpline-free": fk.BSpline(knots=(-1.0, -0.2, 0.1, 1.0)),
    "Hat": fk.Hat(),
    "Chebyshev": fk.Chebyshev(),
    "Legendre": fk.Legendre(),
    "Hermite": fk.Hermite(),
    "Jacobi": fk.Jacobi(),
    "Gegenbauer": fk.Gegenbauer(),
    "Monomial": fk.Monomial(),
    "Fourier": fk.Fourier(),
    "Sine": fk.Sine(),
    "Wavelet": fk.Wavelet(),
    "ReLUBump": fk.ReLUBump(train=True),
    "Rational": fk.Rational(groups=3),
}


def gradients(net: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    """Output, gradient of the input and of every parameter, float64 on the CPU."""
    x = x.clone().requires_grad_()
    y = net(x)
    grads = torch.autograd.grad(
        y.float().square().sum() if y.dtype != torch.float64 else y.square().sum(), [x, *net.parameters()]
    )
    return [t.detach().cpu().double() for t in (y, *grads)]


def assert_equal_to_float64(
    net: nn.Module, x: torch.Tensor, called: nn.Module | None = None, bound: float = 2e-5
) -> None:
    exact = gradients(copy.deepcopy(net).cpu().double(), x.cpu().double())
    for found, want in zip(gradients(net if called is None else called, x), exact, strict=True):
        assert float((found - want).norm()) <= bound * max(float(want.norm()), 1e-3)


@pytest.mark.parametrize("name", BASES)
def test_a_layer(name: str) -> None:
    torch.manual_seed(seed_of(0))
    net = fk.KANLinear(24, 17, BASES[name], base="silu", device="cuda")
    assert_equal_to_float64(net, torch.randn(130, 24, device="cuda"))


@pytest.mark.parametrize("name", ["Gaussian", "BSpline", "Hat", "Chebyshev", "Wavelet", "Rational"])
def test_a_step_in_a_cuda_graph(name: str) -> None:
    torch.manual_seed(seed_of(0))
    net, x = fk.KANLinear(24, 17, BASES[name], device="cuda"), torch.randn(130, 24, device="cuda")

    def step() -> torch.Tensor:
        net.zero_grad(set_to_none=True)
        y = net(x)
        y.square().sum().backward()
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
    want = [step(), *(p.grad for p in net.parameters())]
    for a, b in zip(found, want, strict=True):
        assert b is not None
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore:TensorFloat32 tensor cores")
@pytest.mark.parametrize("name", ["BSpline", "Hat", "Fourier"])
def test_compiled(name: str) -> None:
    torch._dynamo.reset()
    torch.manual_seed(seed_of(0))
    net = fk.KANLinear(24, 17, BASES[name], device="cuda")
    assert_equal_to_float64(net, torch.randn(130, 24, device="cuda"), torch.compile(net, fullgraph=True), 1e-4)


@pytest.mark.parametrize("name", ["RSWAF", "BSpline", "Chebyshev"])
@pytest.mark.parametrize("norm", ["layer", None], ids=["layer", "none"])
def test_a_convolution(name: str, norm: str | None) -> None:
    torch.manual_seed(seed_of(0))
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        net = fk.KANConv2d(6, 9, 3, padding=1, stride=2, basis=BASES[name], norm=norm, device="cuda")
        assert_equal_to_float64(net, torch.randn(5, 6, 13, 11, device="cuda"))
    finally:
        torch.backends.cudnn.allow_tf32 = before
