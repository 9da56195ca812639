"""Mother wavelets psi(u): each as a formula, and as fast functions for the value and the slope."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

REACH = 64.0
"""For |u| > REACH every mother wavelet is 0, also in float64."""

_MEXICAN_HAT = 2 / (math.sqrt(3) * math.pi**0.25)
_MORLET_FREQUENCY = 5.0
_SHANNON_END = 4 * math.pi
"""The end of the window, where its value is 0.08. Here sin(u) / u is 0, so the product is continuous."""
_SINC = tuple((-1) ** k / math.factorial(2 * k + 1) for k in range(10))
"""sin(u) / u = sum_k c_k u^2k; the error is 2e-20 for |u| <= 1."""
_SINC_FALL = tuple(-2 * k * c for k, c in enumerate(_SINC))[1:]
"""-(sin(u) / u)' = u sum_k c_k u^2k. For |u| <= 0.5, four terms are enough in float32 and eight in float64."""


class Mother(NamedTuple):
    """One mother wavelet, elementwise; |u| is at most `REACH` for `value`, and finite or NaN for the others."""

    value: Callable[[Tensor], Tensor]
    """psi(u): plain torch, differentiable to any order."""
    build: Callable[[Tensor], tuple[Tensor, tuple[Tensor, ...]]]
    """u -> (psi(u), parts for `fall`), without a graph."""
    fall: Callable[..., Tensor]
    """(u, psi, *parts) -> -psi'(u) as a new tensor, without a graph."""


def _gauss(u: Tensor) -> Tensor:
    return (u * u).mul_(-0.5).exp_()


def _mexican_hat(u: Tensor) -> Tensor:
    q = u * u
    return _MEXICAN_HAT * (q - 1) * torch.exp(-0.5 * q)


def _mexican_hat_build(u: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    q = u * u
    e = q.mul(-0.5).exp_()
    return q.sub_(1).mul_(e).mul_(_MEXICAN_HAT), (e,)


def _mexican_hat_fall(u: Tensor, psi: Tensor, e: Tensor) -> Tensor:
    return torch.add(psi, e, alpha=-2 * _MEXICAN_HAT).mul_(u)


def _morlet(u: Tensor) -> Tensor:
    return torch.cos(_MORLET_FREQUENCY * u) * torch.exp(-0.5 * u * u)


def _morlet_build(u: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    e = _gauss(u)
    return (u * _MORLET_FREQUENCY).cos_().mul_(e), (e,)


def _morlet_fall(u: Tensor, psi: Tensor, e: Tensor) -> Tensor:
    wave = (u * _MORLET_FREQUENCY).sin_()
    return (u * psi).addcmul_(wave, e, value=_MORLET_FREQUENCY)


def _dog(u: Tensor) -> Tensor:
    return -u * torch.exp(-0.5 * u * u)


def _dog_build(u: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    e = _gauss(u)
    return (u * e).neg_(), (e,)


def _dog_fall(u: Tensor, psi: Tensor, e: Tensor) -> Tensor:
    return torch.addcmul(e, u, psi)


def _shannon(u: Tensor) -> Tensor:
    small = u.abs() < 1
    near, far = torch.where(small, u, 0.0), torch.where(small, 1.0, u)
    # The derivatives of torch.sinc are inaccurate near 0 and wrong at 0.
    sinc = torch.where(small, _horner(_SINC, near * near), torch.sin(far) / far)
    return torch.where(u.abs() >= _SHANNON_END, 0.0, sinc * (0.54 + 0.46 * torch.cos(u / 4)))


def _shannon_build(u: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    outside = u.abs() >= _SHANNON_END
    v = u.clamp(-_SHANNON_END, _SHANNON_END)
    sinc = (v.sin() / v).masked_fill_(v == 0, 1.0).masked_fill_(outside, 0.0)
    window = v.div_(4).cos_().mul_(0.46).add_(0.54).masked_fill_(outside, 0.0)
    return sinc * window, (sinc, window)


def _shannon_fall(u: Tensor, psi: Tensor, sinc: Tensor, window: Tensor) -> Tensor:
    v = u.clamp(-_SHANNON_END, _SHANNON_END)
    terms = 4 if u.dtype == torch.float32 else 8
    series = _horner(_SINC_FALL[:terms], v * v).mul_(v)
    fall = torch.where(v.abs() < 0.5, series, (sinc - v.cos()).div_(v))  # -sinc'
    edge = v.div_(4).sin_().mul_(0.46 / 4)  # the negative slope of the window
    return fall.mul_(window).addcmul_(sinc, edge)


def _horner(coefficients: tuple[float, ...], x: Tensor) -> Tensor:
    value = torch.full_like(x, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        value = value * x + c
    return value


MOTHERS = {
    "mexican_hat": Mother(_mexican_hat, _mexican_hat_build, _mexican_hat_fall),
    "morlet": Mother(_morlet, _morlet_build, _morlet_fall),
    "shannon": Mother(_shannon, _shannon_build, _shannon_fall),
    "dog": Mother(_dog, _dog_build, _dog_fall),
}
