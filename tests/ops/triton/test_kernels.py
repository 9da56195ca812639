"""The kernels against float64: every family, norm, dtype and gradient, odd shapes, and numbers that are not finite."""

from __future__ import annotations

import math

import pytest
import torch

import fasterkan as fk

from .cases import BASES, DEVICE, NORMS, assert_as_exact_as_the_formula, by, layer_of

HALF = (torch.bfloat16, torch.float16)
BAD = (math.nan, math.inf, -math.inf)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("norm", NORMS, ids=str)
@pytest.mark.parametrize("basis", BASES)
def test_every_gradient(basis: str, norm: str | None, dtype: torch.dtype) -> None:
    assert_as_exact_as_the_formula(layer_of(BASES[basis], norm=norm, dtype=dtype), 31)


@pytest.mark.parametrize("dtype", HALF, ids=str)
@pytest.mark.parametrize("basis", ["RSWAF", "RSWAF-5-each"])
def test_autocast(basis: str, dtype: torch.dtype) -> None:
    assert_as_exact_as_the_formula(layer_of(BASES[basis]), 31, autocast=dtype)


@pytest.mark.parametrize("norm", NORMS, ids=str)
@pytest.mark.parametrize(("rows", "inputs", "outputs"), [(1, 13, 1), (63, 33, 5), (2, 1030, 1)], ids=str)
def test_odd_shapes(rows: int, inputs: int, outputs: int, norm: str | None) -> None:
    basis = BASES["RSWAF-5-each"]
    assert_as_exact_as_the_formula(layer_of(basis, inputs, outputs, norm), rows)


@pytest.mark.parametrize("basis", BASES)
def test_one_feature(basis: str) -> None:
    assert_as_exact_as_the_formula(layer_of(BASES[basis], 1, 1, None), 7, scale=2.0)


@pytest.mark.parametrize("affine", [True, False], ids=["affine", "plain"])
@pytest.mark.parametrize("norm", [fk.LayerNorm, fk.RMSNorm], ids=["layer", "rms"])
def test_rows_longer_than_a_block(norm: type, affine: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel gives the gradient of z, and torch differentiates the norm."""
    monkeypatch.setattr("fasterkan.ops.triton.launch.ROW_VALUES", 128)
    monkeypatch.setattr("fasterkan.ops.triton.launch.PANEL_VALUES", 128)
    assert_as_exact_as_the_formula(layer_of(BASES["RSWAF"], 33, 5, norm(affine=affine)), 3)


def test_many_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks that divide neither the rows nor the features, and more blocks than programs."""
    monkeypatch.setattr("fasterkan.ops.triton.launch.PANEL_VALUES", 256)
    monkeypatch.setattr("fasterkan.ops.triton.launch.ROW_VALUES", 256)
    assert_as_exact_as_the_formula(layer_of(BASES["RSWAF"], 13, 3), 21, draws=1)
    assert_as_exact_as_the_formula(layer_of(BASES["RSWAF"], 75, 3, "feature"), 9, draws=1)


@pytest.mark.parametrize("norm", NORMS, ids=str)
def test_no_rows(norm: str | None) -> None:
    layer = layer_of(BASES["RSWAF"], norm=norm)
    found = by("triton", layer, torch.randn(0, 13, device=DEVICE))
    assert found["y"].shape == (0, 5)
    assert all(not value.any() for value in found.values())


@pytest.mark.parametrize("norm", ["layer", "rms"])
def test_large_and_small_numbers(norm: str) -> None:
    layer = layer_of(BASES["RSWAF"], norm=norm)
    for scale in (1e18, 1e-18):
        x = torch.randn(7, 13, device=DEVICE) * scale
        for name, value in by("triton", layer, x).items():
            expected = by("reference", layer, x, torch.float64)[name]
            torch.testing.assert_close(value.double(), expected, rtol=2e-4, atol=2e-4 * expected.abs().max().item())


@pytest.mark.filterwarnings("ignore::RuntimeWarning:triton.runtime.interpreter")
@pytest.mark.parametrize("norm", NORMS, ids=str)
@pytest.mark.parametrize("basis", BASES)
def test_numbers_that_are_not_finite(basis: str, norm: str | None) -> None:
    """They give what the other eager path gives, and stay in their own row."""
    layer, x = layer_of(BASES[basis], norm=norm), torch.randn(5, 13, device=DEVICE)
    x[range(1, 4), 1] = torch.tensor(BAD, device=DEVICE)
    got, expected = (by(path, layer, x) for path in ("triton", "recompute"))
    same = range(2) if "Sine" in basis else range(5)  # the sine of 1e19 depends on the rounding of its argument
    for name in ("y", "x"):
        torch.testing.assert_close(got[name][same], expected[name][same], rtol=1e-4, atol=1e-5, equal_nan=True)
        assert torch.equal(got[name].isfinite(), expected[name].isfinite())
    assert torch.isfinite(got["y"][[0, 4]]).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_runs_repeat_to_the_bit(dtype: torch.dtype) -> None:
    layer, x = layer_of(BASES["RSWAF"], dtype=dtype), torch.randn(63, 13, device=DEVICE, dtype=dtype)
    first, second = (by("triton", layer, x) for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
