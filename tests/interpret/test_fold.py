"""Folding the feature norms changes nothing of what is said about a network: its functions are the same ones."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor

import fasterkan as fk
from fasterkan.fitting.flat import FlatNet
from fasterkan.fitting.smoothness import Smoothness
from fasterkan.fitting.sparsity import Sparsity

FAMILIES = {
    "RSWAF": fk.RSWAF(6),
    "RSWAF, cubed": fk.RSWAF(5, exponent=3.0, beyond=1),
    "Gaussian": fk.Gaussian(6),
    "BSpline": fk.BSpline(grid_size=4),
    "BSpline, free knots": fk.BSpline(knots=(-1.0, -0.2, 0.1, 1.0), outside="linear"),
    "Hat": fk.Hat(6),
    "ReLUBump": fk.ReLUBump(4, 2),
    "Sine": fk.Sine(5),
    "Wavelet": fk.Wavelet("dog"),
}
DTYPES = {torch.float64: 1e-9, torch.float32: 1e-5}


def network(basis: fk.Basis, dtype: torch.dtype) -> tuple[fk.KAN, fk.KAN, Tensor]:
    """A calibrated network on columns of unlike units, the same one folded, and its rows."""
    net = fk.KAN([3, 4, 2], basis, norm="feature", base="silu", dtype=dtype)
    x = (torch.randn(200, 3) * torch.tensor([0.1, 3.0, 40.0]) + torch.tensor([1.0, -20.0, 5.0])).to(dtype)
    net.calibrate(x)
    folded = copy.deepcopy(net)
    folded.fold()
    return net.eval(), folded.eval(), x


@pytest.fixture(params=DTYPES, ids=str)
def dtype(request: pytest.FixtureRequest) -> torch.dtype:
    return request.param


@pytest.mark.parametrize("family", FAMILIES)
def test_outputs(family: str, dtype: torch.dtype) -> None:
    net, folded, x = network(FAMILIES[family], dtype)
    size = net(x).abs().amax()
    torch.testing.assert_close(folded(x) / size, net(x) / size, rtol=0, atol=20 * DTYPES[dtype])
    assert all(layer.norm is None for layer in folded.kan_layers())


@pytest.mark.parametrize("family", FAMILIES)
def test_diagnosis(family: str, dtype: torch.dtype) -> None:
    net, folded, x = network(FAMILIES[family], dtype)
    before, after = fk.diagnose(net, x).to_dict(), fk.diagnose(folded, x).to_dict()
    for one, other in zip(before["layers"], after["layers"], strict=True):
        for name, value in one.items():
            if isinstance(value, float):
                rel = DTYPES[dtype]
                if name == "condition":  # rounding of the functions, and of their squares, over the smallest eigenvalue
                    rel = max(rel, 10 * torch.finfo(dtype).eps * value**0.5, 1e-13 * value)
                assert other[name] == pytest.approx(value, rel=rel, abs=DTYPES[dtype]), (one["name"], name)
            else:
                assert other[name] == value, (one["name"], name)
    assert [f["kind"] for f in before["findings"]] == [f["kind"] for f in after["findings"]]


@pytest.mark.parametrize("family", FAMILIES)
def test_ranges_of_the_edges_without_data(family: str, dtype: torch.dtype) -> None:
    net, folded, _ = network(FAMILIES[family], dtype)
    for before, after in zip(fk.edges(net), fk.edges(folded), strict=True):
        width = before.points[-1] - before.points[0]
        size = before.points.abs().amax()
        torch.testing.assert_close(after.points / size, before.points / size, rtol=0, atol=DTYPES[dtype])
        assert width > 0


@pytest.mark.parametrize("family", FAMILIES)
def test_importances(family: str, dtype: torch.dtype) -> None:
    net, folded, x = network(FAMILIES[family], dtype)
    for method in ("shuffle", "gradient"):
        before, after = (fk.importance(each, x, method=method) for each in (net, folded))
        for one, other in zip(
            (before.inputs, *before.edges, *before.shares), (after.inputs, *after.edges, *after.shares), strict=True
        ):
            torch.testing.assert_close(other, one, rtol=DTYPES[dtype], atol=DTYPES[dtype])


@pytest.mark.parametrize("family", FAMILIES)
def test_penalties_of_a_fit(family: str, dtype: torch.dtype) -> None:
    values = []
    for each in network(FAMILIES[family], dtype)[:2]:
        flat = FlatNet(each)
        theta, lanes = flat.theta([each]), torch.tensor([0])
        smooth = Smoothness(flat, [each], torch.ones(1, dtype=torch.float64)).value(theta, lanes)
        values.append((float(smooth), float(Sparsity(flat, [each], 1.0).value(theta, lanes))))
    for before, after in zip(*values, strict=True):
        assert after == pytest.approx(before, rel=DTYPES[dtype])
    if not FAMILIES[family].per_edge:
        assert values[0][0] > 0


@pytest.mark.parametrize("family", [name for name in FAMILIES if name not in ("Sine", "Wavelet")])
def test_smoothness_penalty(family: str, dtype: torch.dtype) -> None:
    before, after = (fk.penalty(net, smoothness=1.0).item() for net in network(FAMILIES[family], dtype)[:2])
    assert after == pytest.approx(before, rel=DTYPES[dtype]) and before > 0


@pytest.mark.parametrize("base_input", ["x", "scaled", "z"])
def test_the_base_branch_keeps_its_function(base_input: str, tmp_path: Path) -> None:
    net = fk.KAN([3, 2], norm="feature", base="silu", base_input=base_input, dtype=torch.float64)
    x = 100 + 7 * torch.randn(50, 3, dtype=torch.float64)
    net.calibrate(x)
    before = net(x)
    net.fold()
    torch.testing.assert_close(net(x), before, rtol=1e-9, atol=1e-9)
    assert net.layers[0].spec.base_input == ("x" if base_input == "x" else "scaled")
    net.save_pretrained(tmp_path / "net")
    assert torch.equal(fk.from_pretrained(tmp_path / "net")(x), net(x))
