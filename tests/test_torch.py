"""The private names of torch that the library uses: each does what its wrapper says."""

from __future__ import annotations

import torch
import torch.autograd.forward_ad as forward_ad
from torch import Tensor

from fasterkan import _torch


def test_transform_is_active():
    seen = []

    def look(x: Tensor) -> Tensor:
        seen.append(_torch.transform_is_active())
        return x.sum()

    look(torch.ones(2))
    torch.func.grad(look)(torch.ones(2))
    torch.func.vmap(look)(torch.ones(3, 2))
    torch.func.jvp(look, (torch.ones(2),), (torch.ones(2),))
    assert seen == [False, True, True, True]
    assert not _torch.transform_is_active()


def test_is_batched_gradient():
    seen = []

    class Look(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, dy):
            seen.append(_torch.is_batched_gradient(dy) or _torch.transform_is_active())
            return dy

    x = torch.ones(3, requires_grad=True)
    torch.autograd.grad(Look.apply(x), x, torch.ones(3))
    torch.autograd.grad(Look.apply(x), x, torch.eye(3), is_grads_batched=True)
    assert seen == [False, True]
    assert not _torch.is_batched_gradient(x)


def test_forward_mode_is_active():
    assert not _torch.forward_mode_is_active()
    with forward_ad.dual_level():
        assert _torch.forward_mode_is_active()
    assert not _torch.forward_mode_is_active()


def test_autocast_is_active():
    assert not _torch.autocast_is_active()
    with torch.autocast("cpu", torch.bfloat16):
        assert _torch.autocast_is_active()
        with torch.autocast("cpu", enabled=False):
            assert not _torch.autocast_is_active()
    with torch.amp.autocast_mode.autocast("cpu", torch.float16):
        assert _torch.autocast_is_active()
    assert not _torch.autocast_is_active()


def test_private_backend():
    name = _torch.private_backend()
    assert name == "privateuseone", "no vendor has taken the slot here"


def test_lerp_all():
    starts, ends = [torch.zeros(3), torch.ones(2, 2)], [torch.full((3,), 4.0), torch.full((2, 2), 5.0)]
    before = list(starts)
    _torch.lerp_all_(starts, ends, 0.25)
    assert torch.equal(starts[0], torch.ones(3)) and torch.equal(starts[1], torch.full((2, 2), 2.0))
    assert all(a is b for a, b in zip(starts, before, strict=True))
