"""Arrays and lists as tensors."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
import torch

from fasterkan._arrays import array_of

NUMBERS = [[1.5, 2.0], [3.0, 4.0]]
EXACT = torch.tensor(NUMBERS, dtype=torch.float64)


@pytest.mark.parametrize(
    "values",
    [
        NUMBERS,
        np.array(NUMBERS),
        np.array(NUMBERS)[::-1][::-1],
        np.array(NUMBERS, dtype=">f8"),
        np.array(NUMBERS, dtype=np.longdouble),
        np.array(NUMBERS, order="F"),
        [[Decimal("1.5"), 2], [3, 4.0]],
        EXACT,
    ],
    ids=["list", "array", "strided", "big-endian", "long double", "columns first", "objects", "tensor"],
)
def test_numbers(values):
    found = array_of("f", "X", values)
    assert torch.equal(found, EXACT) and found.dtype == torch.float64


def test_backwards_and_whole():
    assert torch.equal(array_of("f", "y", np.arange(3)[::-1]), torch.tensor([2, 1, 0]))
    assert array_of("f", "y", [True, False]).dtype == torch.bool


def test_no_graph():
    assert not array_of("f", "X", torch.ones(2, requires_grad=True) * 2).requires_grad


@pytest.mark.parametrize(
    "values", ["text", ["1.5"], [[1.0], [2.0, 3.0]], None, object()], ids=["text", "texts", "ragged", "none", "object"]
)
def test_no_numbers(values):
    with pytest.raises(TypeError, match=r"^f: X must be a tensor or an array of numbers, got"):
        array_of("f", "X", values)


def test_complex():
    with pytest.raises(TypeError, match=r"^f: X is torch.complex128; give real and imaginary part as two columns"):
        array_of("f", "X", np.array([1j]))
