"""Derivatives against closed forms and finite differences."""

from __future__ import annotations

import pytest
import torch

import fasterkan as fk


class Product(torch.nn.Module):
    """(x^2 y, sin(x) + y^3), whose derivatives are known."""

    def forward(self, p):
        x, y = p[..., 0], p[..., 1]
        return torch.stack([x**2 * y, torch.sin(x) + y**3], -1)


def test_closed_forms():
    p = torch.randn(7, 2, dtype=torch.float64)
    x, y = p.unbind(-1)
    zero = torch.zeros_like(x)
    jacobian = torch.stack([torch.stack([2 * x * y, x**2], -1), torch.stack([x.cos(), 3 * y**2], -1)], 1)
    torch.testing.assert_close(fk.derivatives(Product(), p), jacobian)
    hessian = fk.derivatives(Product(), p, order=2)
    torch.testing.assert_close(
        hessian[:, 0], torch.stack([torch.stack([2 * y, 2 * x], -1), torch.stack([2 * x, zero], -1)], 1)
    )
    third = fk.derivatives(Product(), p, order=3)
    assert third.shape == (7, 2, 2, 2, 2)
    torch.testing.assert_close(third[:, 1, 0, 0, 0], -x.cos())
    torch.testing.assert_close(third[:, 0, 0, 1, 0], torch.full_like(x, 2))
    torch.testing.assert_close(fk.derivatives(Product(), p, order=4)[:, 1, 0, 0, 0, 0], x.sin())


@pytest.mark.parametrize("norm", ["feature", "layer", None])
@pytest.mark.parametrize("widths", [[3, 4, 2], [3, 4, 5]], ids=["reverse", "forward"])
@pytest.mark.parametrize("basis", [fk.RSWAF(5), fk.BSpline(4)], ids=["rswaf", "bspline"])
def test_finite_differences(norm, widths, basis):
    net = fk.KAN(widths, basis, norm=norm, base="silu", dtype=torch.float64)
    x = torch.rand(5, 3, dtype=torch.float64) * 0.9
    if norm == "feature":
        net.calibrate(torch.rand(100, 3, dtype=torch.float64) * 2 - 0.5)
    net.train()
    first, second = fk.derivatives(net, x), fk.derivatives(net, x, 2)
    assert net.training
    net.eval()
    for i, step in enumerate(1e-5 * torch.eye(3, dtype=torch.float64)):

        def difference(function, step=step):
            """Of fourth order, since a layer norm makes the network very bent where a row has nearly equal numbers."""
            near, far = (function(x + n * step) - function(x - n * step) for n in (1, 2))
            return (8 * near - far) / 12e-5

        with torch.no_grad():
            torch.testing.assert_close(first[..., i], difference(net), rtol=1e-6, atol=1e-7)
        torch.testing.assert_close(second[..., i], difference(lambda at: fk.derivatives(net, at)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(second, second.transpose(-1, -2))


def test_shapes_and_dtypes():
    net = fk.KAN([2, 3, 1], norm=None)
    assert fk.derivatives(net, torch.rand(2), 2).shape == (1, 2, 2)
    assert fk.derivatives(net, torch.rand(0, 2), 2).shape == (0, 1, 2, 2)
    assert fk.derivatives(net, torch.rand(4, 2)).dtype == torch.float32
    assert fk.derivatives(net.double(), torch.rand(4, 2, dtype=torch.float64)).dtype == torch.float64


def test_they_can_be_differentiated_by_parameters():
    """The gradient of a residual u'' + u that an equation's loss takes."""
    net = fk.KAN([1, 3, 1], norm=None, dtype=torch.float64)
    x = torch.rand(6, 1, dtype=torch.float64)

    def loss():
        return (fk.derivatives(net, x, 2)[:, 0, 0, 0] + net(x)[:, 0]).square().mean()

    (grad,) = torch.autograd.grad(loss(), net.layers[0].weight)
    with torch.no_grad():
        net.layers[0].weight[1, 0, 2] += 1e-6
    above = loss().item()
    with torch.no_grad():
        net.layers[0].weight[1, 0, 2] -= 2e-6
    assert grad[1, 0, 2].item() == pytest.approx((above - loss().item()) / 2e-6, rel=1e-5)


@pytest.mark.parametrize(
    ("x", "order", "error", "words"),
    [
        (torch.zeros(2, 2, dtype=torch.complex64), 1, TypeError, "derivatives: x is torch.complex64; give real and"),
        (["a", "b"], 1, TypeError, "derivatives: x must be a tensor or an array of numbers, got list with text"),
        (torch.zeros(2, 2, 2), 1, ValueError, r"x is \[2, 2, 2\]"),
        (torch.zeros(2, 2), 0, ValueError, "order must be at least 1"),
        (torch.zeros(2, 2), 1.5, TypeError, "order must be a whole number"),
    ],
    ids=["complex", "words", "three-dimensions", "order-0", "order-1.5"],
)
def test_bad_calls(x, order, error, words):
    with pytest.raises(error, match=words):
        fk.derivatives(fk.KAN([2, 1], norm=None), x, order)


def test_arrays_lists_and_whole_numbers_are_points():
    net = fk.KAN([2, 3, 1], norm=None)
    x = torch.randint(-2, 3, (5, 2))
    expected = fk.derivatives(net, x.float())
    for points in (x, x.tolist(), x.numpy(), x.double().numpy(), x.flip(0).numpy()[::-1], x.numpy().astype(">i4")):
        found = fk.derivatives(net, points)
        assert found.dtype == torch.float32 and torch.equal(found, expected)
    assert torch.equal(fk.derivatives(net, x[0].tolist(), 2), fk.derivatives(net, x[0].float(), 2))
    p = torch.randn(4, 2, dtype=torch.float64)
    assert torch.equal(fk.derivatives(Product(), p.numpy()), fk.derivatives(Product(), p))
    assert fk.derivatives(Product(), [1, 2]).dtype == torch.get_default_dtype()
