"""LayerNorm and RMSNorm of rows: values, every order of derivative, and large numbers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from fasterkan.ops import row_norm

CENTER = pytest.mark.parametrize("center", [True, False], ids=["layer", "rms"])


def definition(x: Tensor, weight: Tensor, bias: Tensor | None, eps: float, center: bool) -> Tensor:
    m = x.mean(-1, keepdim=True) if center else 0
    z = (x - m) / ((x - m).square().mean(-1, keepdim=True) + eps).sqrt() * weight
    return z if bias is None else z + bias


def inputs(rows: int = 4, features: int = 5, center: bool = True) -> list[Tensor | None]:
    x = torch.randn(rows, features, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(features, dtype=torch.float64, requires_grad=True)
    return [x, weight, torch.randn(features, dtype=torch.float64, requires_grad=True) if center else None]


@CENTER
def test_values_and_gradients(center: bool) -> None:
    given = inputs(center=center)
    leaves = [t for t in given if t is not None]
    got, expected = row_norm(*given, 1e-5, center=center), definition(*given, 1e-5, center)
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)
    dz = torch.randn_like(got)
    for a, b in zip(*(torch.autograd.grad(z, leaves, dz) for z in (got, expected)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11)


@CENTER
def test_sign_and_size_of_dbias_and_dweight(center: bool) -> None:
    x, weight, bias = inputs(center=center)
    z = row_norm(x, weight, bias, 1e-5, center=center)
    z.sum().backward()
    if center:
        assert torch.equal(bias.grad, torch.full((5,), 4.0, dtype=torch.float64))
    unit = ((z - (bias if center else 0)) / weight).detach()
    torch.testing.assert_close(weight.grad, unit.sum(0))


@CENTER
def test_checkers(center: bool) -> None:
    given = [t for t in inputs(center=center) if t is not None]

    def f(*t: Tensor) -> Tensor:
        return row_norm(t[0], t[1], t[2] if center else None, 1e-3, center=center)

    assert gradcheck(f, given, check_forward_ad=True)
    assert gradgradcheck(f, given)


@CENTER
def test_third_derivative(center: bool) -> None:
    given = inputs(2, 3, center)
    values = []
    for call in (lambda: row_norm(*given, 1e-5, center=center), lambda: definition(*given, 1e-5, center)):
        value = call().pow(3).sum()
        for _ in range(3):
            (grad,) = torch.autograd.grad(value, given[0], create_graph=True)
            value = (grad * torch.arange(1.0, 7.0).view(2, 3)).sum()
        values.append(grad.detach())
    torch.testing.assert_close(values[0], values[1], rtol=1e-9, atol=1e-9)


@CENTER
@pytest.mark.parametrize("features", [2, 17, 784, 4096])
@pytest.mark.parametrize("scale", [1e-18, 1e-3, 1.0, 1e9, 1e17, 1e18])
def test_float32_keeps_five_digits_up_to_1e18(scale: float, features: int, center: bool) -> None:
    x = (torch.randn(3, features).clamp(-1, 1) * scale).requires_grad_()
    weight = torch.ones(features)
    got = row_norm(x, weight, None, 1e-5, center=center)
    exact = definition(x.detach().double().requires_grad_(), weight.double(), None, 1e-5, center)
    assert (got - exact).norm() <= 1e-5 * exact.norm()
    got.sum().backward()
    assert torch.isfinite(x.grad).all()


@CENTER
@pytest.mark.parametrize("shape", [(5,), (0, 5), (2, 0, 5), (2, 3, 5)], ids=str)
def test_leading_shapes(shape: tuple[int, ...], center: bool) -> None:
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    weight, bias = torch.randn(5, dtype=torch.float64, requires_grad=True), None
    got = row_norm(x, weight, bias, 1e-5, center=center)
    assert got.shape == shape
    torch.testing.assert_close(got, definition(x, weight, bias, 1e-5, center))
    got.sum().backward()
    assert weight.grad.shape == (5,)


def test_constant_rows_give_zero_and_finite_gradients() -> None:
    x = torch.full((2, 5), 3.0, requires_grad=True)
    z = row_norm(x, torch.ones(5), None, 1e-5, center=True)
    z.sum().backward()
    assert torch.equal(z, torch.zeros(2, 5))
    assert torch.isfinite(x.grad).all()


@CENTER
def test_an_exported_norm_is_the_norm(center: bool) -> None:
    class Normed(torch.nn.Module):
        def forward(self, x: Tensor, weight: Tensor) -> Tensor:
            return row_norm(x, weight, None, 1e-5, center=center)

    x, weight = torch.randn(4, 5), torch.randn(5)
    program = torch.export.export(Normed(), (x, weight))
    torch.testing.assert_close(program.module()(x, weight), definition(x, weight, None, 1e-5, center))
