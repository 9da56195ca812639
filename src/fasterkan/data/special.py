"""Functions for tests of fits: three formulas of the KAN papers and fifteen special functions of physics."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .._arrays import array_of
from .._check import whole_number
from .._device import exact_device, exact_on_cpu
from .._scipy import scipy_special

Array = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class KnownFunction:
    """A real function of a few variables on a box.

    Attributes:
        name: its name in `known_function`.
        formula: the formula, with the variables in order.
        domain: (low, high) of each variable.
        widths: widths of a small network that fits the function, including inputs and output.
    """

    name: str
    formula: str
    domain: tuple[tuple[float, float], ...]
    widths: tuple[int, ...]
    _values: Callable[[Array], Array] = dataclasses.field(repr=False)

    def __call__(self, x: Any) -> Tensor:
        """Return the values [N] at x [N, I], a tensor or an array, in float64, computed with NumPy or scipy.

        Raises:
            ImportError: the function needs scipy, and scipy is not installed.
            ValueError: x has another number of columns.
        """
        x = array_of(self.name, "x", x)
        if x.dim() != 2 or x.shape[1] != len(self.domain):
            raise ValueError(f"{self.name}: x must be [N, {len(self.domain)}], got {tuple(x.shape)}")
        values = self._values(exact_on_cpu(x).numpy().T)
        return torch.from_numpy(np.asarray(values, dtype=np.float64)).to(exact_device(x.device))

    def sample(self, rows: int, seed: int = 0) -> tuple[Tensor, Tensor]:
        """Return x [rows, I], uniform in the domain, and y [rows, 1], both in float64.

        Args:
            rows: number of rows, at least 1.
            seed: seed of x. Use two different seeds for the training rows and the test rows.
        """
        count = whole_number(self.name, "rows", rows, 1)
        generator = torch.Generator("cpu").manual_seed(whole_number(self.name, "seed", seed, 0))
        low, high = torch.tensor(self.domain, dtype=torch.float64, device="cpu").unbind(-1)
        share = torch.rand(count, len(self.domain), generator=generator, dtype=torch.float64, device="cpu")
        x = low + (high - low) * share
        return x, self(x).unsqueeze(-1)


def known_function(name: str) -> KnownFunction:
    """Return the function with this name; `KNOWN_FUNCTIONS` contains all of them.

    Raises:
        ValueError: there is no such function. The message lists the nearest names.
    """
    if name not in KNOWN_FUNCTIONS:
        near = difflib.get_close_matches(name, KNOWN_FUNCTIONS, n=3) or list(KNOWN_FUNCTIONS)
        raise ValueError(f"known_function: no function {name!r}; there are {', '.join(near)}")
    return KNOWN_FUNCTIONS[name]


_HALF_TURN, _TURN = math.pi, 2 * math.pi
_PLANE = ((-1.0, 1.0), (-1.0, 1.0))
_ELLIPTIC = ((0.0, math.pi / 2), (0.0, 0.9))
_ORDER = (0.0, 2.0)
_LEGENDRE = ((0.0, 4.0), (-0.9, 0.9))
_SPHERE = ((0.0, _TURN), (0.0, _HALF_TURN))
"""Azimuth a and polar angle t."""


def _all() -> Mapping[str, KnownFunction]:
    two = (2, 5, 1)
    made = [
        KnownFunction(
            "exp_sine", "exp(sin(pi x) + y^2)", _PLANE, two, lambda x: np.exp(np.sin(math.pi * x[0]) + x[1] ** 2)
        ),
        KnownFunction("product", "x y", _PLANE, (2, 2, 1), lambda x: x[0] * x[1]),
        KnownFunction(
            "four_variables",
            "exp(sin(a^2 + b^2) + sin(c^2 + d^2))",
            _PLANE * 2,
            (4, 4, 2, 1),
            lambda x: np.exp(np.sin(x[0] ** 2 + x[1] ** 2) + np.sin(x[2] ** 2 + x[3] ** 2)),
        ),
        KnownFunction(
            "ellipj",
            "sn(u | m), Jacobi's elliptic sine of parameter m = k^2",
            ((0.0, 4.0), (0.0, 0.9)),
            two,
            lambda x: scipy_special("this function").ellipj(x[0], x[1])[0],
        ),
        KnownFunction(
            "ellipkinc",
            "F(phi | m), incomplete elliptic integral of the first kind",
            _ELLIPTIC,
            two,
            lambda x: scipy_special("this function").ellipkinc(*x),
        ),
        KnownFunction(
            "ellipeinc",
            "E(phi | m), incomplete elliptic integral of the second kind",
            _ELLIPTIC,
            two,
            lambda x: scipy_special("this function").ellipeinc(*x),
        ),
        KnownFunction(
            "jv",
            "J_v(x), Bessel function of the first kind, real order v",
            (_ORDER, (0.5, 8.0)),
            two,
            lambda x: scipy_special("this function").jv(*x),
        ),
        KnownFunction(
            "yv",
            "Y_v(x), Bessel function of the second kind, real order v",
            (_ORDER, (1.0, 8.0)),
            two,
            lambda x: scipy_special("this function").yv(*x),
        ),
        KnownFunction(
            "kv",
            "K_v(x), modified Bessel function of the second kind, real order v",
            (_ORDER, (0.5, 4.0)),
            two,
            lambda x: scipy_special("this function").kv(*x),
        ),
        KnownFunction(
            "iv",
            "I_v(x), modified Bessel function of the first kind, real order v",
            (_ORDER, (0.5, 4.0)),
            two,
            lambda x: scipy_special("this function").iv(*x),
        ),
        *(
            KnownFunction(
                f"lpmv{m}",
                f"P_v^{m}(x), associated Legendre function of order {m} and real degree v, with (-1)^{m}",
                _LEGENDRE,
                two,
                functools.partial(_legendre, m),
            )
            for m in range(3)
        ),
        KnownFunction("sph01", "Re Y_1^0 = sqrt(3 / 4 pi) cos t", _SPHERE, two, _harmonic(3 / 4, _cosine, 0)),
        KnownFunction(
            "sph11", "Re Y_1^1 = -sqrt(3 / 8 pi) sin t cos a", _SPHERE, two, _harmonic(3 / 8, _minus_sine, 1)
        ),
        KnownFunction(
            "sph02",
            "Re Y_2^0 = sqrt(5 / 16 pi) (3 cos^2 t - 1)",
            _SPHERE,
            two,
            _harmonic(5 / 16, lambda t: 3 * np.cos(t) ** 2 - 1, 0),
        ),
        KnownFunction(
            "sph12",
            "Re Y_2^1 = -sqrt(15 / 8 pi) sin t cos t cos a",
            _SPHERE,
            two,
            _harmonic(15 / 8, lambda t: -np.sin(t) * np.cos(t), 1),
        ),
        KnownFunction(
            "sph22",
            "Re Y_2^2 = sqrt(15 / 32 pi) sin^2 t cos 2a",
            _SPHERE,
            two,
            _harmonic(15 / 32, lambda t: np.sin(t) ** 2, 2),
        ),
    ]
    return MappingProxyType({function.name: function for function in made})


def _legendre(m: int, x: Array) -> Array:
    """P_v^m(x) of (v, x)."""
    return scipy_special("this function").lpmv(m, x[0], x[1])


def _cosine(t: Array) -> Array:
    return np.cos(t)


def _minus_sine(t: Array) -> Array:
    return -np.sin(t)


def _harmonic(squared: float, polar: Callable[[Array], Array], order: int) -> Callable[[Array], Array]:
    """sqrt(squared / pi) polar(t) cos(order a) of (a, t)."""
    return lambda x: math.sqrt(squared / math.pi) * polar(x[1]) * np.cos(order * x[0])


KNOWN_FUNCTIONS: Mapping[str, KnownFunction] = _all()
"""The functions by name: `exp_sine`, `product`, `four_variables`, and the special functions of the KAN paper."""
