"""The norm of KAL-Net: minimum and maximum of the whole batch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

import fasterkan as fk
from fasterkan.nn import norm_from_config, norm_to_config, resolve_norm


def norm() -> torch.nn.Module:
    return fk.BatchRange().build(5, fk.Legendre())


def plain(x: Tensor) -> Tensor:
    return 2 * (x - x.min()) / (x.max() - x.min()) - 1


@pytest.mark.parametrize("shape", [(5,), (1, 5), (7, 5), (2, 3, 5)], ids=str)
def test_formula(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, dtype=torch.float64) * 3 + 10
    torch.testing.assert_close(norm()(x), plain(x), rtol=1e-12, atol=1e-12)


def test_gradient_goes_through_minimum_and_maximum() -> None:
    x = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(norm(), x)
    weight = torch.randn(4, 5, dtype=torch.float64)
    got, want = (torch.autograd.grad((f(x) * weight).sum(), x)[0] for f in (norm(), plain))
    torch.testing.assert_close(got, want)


@pytest.mark.parametrize("value", [0.0, -3.5, 1e30])
def test_a_constant_batch_is_0_and_so_is_its_gradient(value: float) -> None:
    x = torch.full((3, 5), value, requires_grad=True)
    z = norm()(x)
    z.sum().backward()
    assert not z.any()
    assert not x.grad.any()


def test_extremes() -> None:
    x = torch.tensor([[-3e38, 0.0, 3e38]])
    torch.testing.assert_close(norm()(x), torch.tensor([[-1.0, 0.0, 1.0]]))
    tiny = torch.tensor([[1e-38, 2e-38, 3e-38]])
    torch.testing.assert_close(norm()(tiny), torch.tensor([[-1.0, 0.0, 1.0]]))
    assert norm()(torch.zeros(0, 5)).shape == (0, 5)
    assert norm()(torch.rand(2, 5, dtype=torch.bfloat16)).dtype == torch.float32


def test_what_its_warning_says() -> None:
    """A row's output depends on the others, in evaluation too, and one NaN spoils all."""
    net, x = fk.KAN([5, 3], fk.Legendre(domain=None), norm="batch_range").eval(), torch.rand(4, 5)
    x[2:] *= 3
    assert (net(x)[:2] - net(x[:2])).abs().max() > 1e-3
    x[3, 2] = torch.nan
    assert net(x).isnan().all()


def test_found_by_name_and_saved(tmp_path: Path) -> None:
    assert resolve_norm("batch_range") == fk.BatchRange() == norm_from_config(norm_to_config(fk.BatchRange()))
    net, x = fk.KAN([5, 4, 3], norm="batch_range"), torch.rand(6, 5)
    again = fk.from_pretrained(net.save_pretrained(tmp_path))
    assert again.norm == fk.BatchRange()
    assert torch.equal(again(x), net(x))
