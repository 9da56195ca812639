"""Known functions: values at known points, domains, samples, names."""

from __future__ import annotations

import math
import sys

import pytest
import torch

from fasterkan.data import KNOWN_FUNCTIONS, known_function

PLAIN = [name for name in KNOWN_FUNCTIONS if name.startswith("sph")] + ["exp_sine", "product", "four_variables"]
ROOT = math.sqrt(1 / math.pi)

# Values of Abramowitz and Stegun's tables and of closed forms: J_1/2(x) = sqrt(2 / pi x) sin x, and so on.
VALUES = {
    "exp_sine": ((0.5, 1.0), math.exp(2)),
    "product": ((0.5, -0.25), -0.125),
    "four_variables": ((0.0, 0.0, 0.0, 0.0), 1.0),
    "ellipj": ((1.0, 0.0), math.sin(1)),
    "ellipkinc": ((math.pi / 2, 0.5), 1.854074677301372),
    "ellipeinc": ((math.pi / 2, 0.5), 1.350643881047675),
    "jv": ((0.5, 2.0), math.sqrt(1 / math.pi) * math.sin(2)),
    "yv": ((0.5, 2.0), -math.sqrt(1 / math.pi) * math.cos(2)),
    "kv": ((0.5, 2.0), math.sqrt(math.pi / 4) * math.exp(-2)),
    "iv": ((0.5, 2.0), math.sqrt(1 / math.pi) * math.sinh(2)),
    "lpmv0": ((2.0, 0.5), -0.125),
    "lpmv1": ((2.0, 0.5), -1.5 * math.sqrt(0.75)),
    "lpmv2": ((2.0, 0.5), 3 * 0.75),
    "sph01": ((1.0, 0.0), math.sqrt(3 / 4) * ROOT),
    "sph11": ((0.0, math.pi / 2), -math.sqrt(3 / 8) * ROOT),
    "sph02": ((1.0, 0.0), math.sqrt(5 / 16) * 2 * ROOT),
    "sph12": ((0.0, math.pi / 4), -math.sqrt(15 / 8) / 2 * ROOT),
    "sph22": ((math.pi / 2, math.pi / 2), -math.sqrt(15 / 32) * ROOT),
}


def test_all_are_checked():
    assert set(VALUES) == set(KNOWN_FUNCTIONS) and len(KNOWN_FUNCTIONS) == 18


@pytest.mark.parametrize("name", VALUES)
def test_value_at_a_known_point(name):
    if name not in PLAIN:
        pytest.importorskip("scipy.special")
    at, expected = VALUES[name]
    assert known_function(name)(torch.tensor([at], dtype=torch.float64)).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", VALUES)
def test_samples_are_finite_and_lie_in_the_domain(name):
    if name not in PLAIN:
        pytest.importorskip("scipy.special")
    function = known_function(name)
    x, y = function.sample(200, seed=3)
    low, high = torch.tensor(function.domain, dtype=torch.float64).unbind(-1)
    assert x.shape == (200, function.widths[0]) and y.shape == (200, 1) and bool(torch.isfinite(y).all())
    assert bool(((x >= low) & (x <= high)).all()) and y.std() > 0.1
    assert torch.equal(function.sample(200, seed=3)[0], x) and not torch.equal(function.sample(200, seed=4)[0], x)


def test_messages():
    with pytest.raises(ValueError, match=r"no function 'sph10'; there are .*sph11"):
        known_function("sph10")
    with pytest.raises(ValueError, match=r"product: x must be \[N, 2\], got \(5, 3\)"):
        known_function("product")(torch.zeros(5, 3))


def test_scipy_is_asked_for_by_name(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.special", None)
    with pytest.raises(ImportError, match=r'pip install "fasterkan\[symbolic\]"'):
        known_function("jv").sample(3)
