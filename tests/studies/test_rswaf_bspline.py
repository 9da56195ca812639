"""The study of RSWAF and the cubic B-spline: its functions, its least squares and its picture."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import fasterkan as fk


@pytest.fixture(scope="module")
def study(script):
    return script("rswaf_bspline")


def test_the_spline_and_the_bump(study):
    assert study.cubic(np.array([0.0, 0.5, -0.5, 1.0, 2.0]), 0.5) == pytest.approx([2 / 3, 1 / 6, 1 / 6, 0, 0])
    assert study.bump(np.array([0.0, 0.3]), 2.0, 0.5) == pytest.approx([2.0, 2 * (1 - math.tanh(0.6) ** 2)])


def test_the_best_match_is_a_minimum_and_stretches(study):
    row, other = study.one_function(1.0), study.one_function(0.2)
    assert row["largest_error"] == pytest.approx(other["largest_error"], rel=1e-6)
    u = study.POINTS
    for scale, width in ((1.01, 1), (0.99, 1), (1, 1.01), (1, 0.99)):
        near = study.bump(u, row["scale"] * scale, row["width_by_spacing"] * width)
        assert np.abs(near - study.cubic(u, 1.0)).max() > row["largest_error"]


def test_every_edge_is_fitted_and_counted(study):
    layer = fk.KANLinear(3, 5, fk.BSpline())
    rows = study.every_edge(layer, (8, 16))
    assert [(row["edges"], row["layer"], row["rswaf_functions"]) for row in rows] == [(15, [3, 5], 8), (15, [3, 5], 16)]
    for row in rows:
        assert sum(row["histogram"]) == 15
        assert row["median_error"] <= row["p95_error"] <= row["largest_error"] < 1
    assert rows[1]["median_error"] < rows[0]["median_error"]


def test_an_edge_that_rswafs_can_say_is_fitted_well(study):
    layer = fk.KANLinear(3, 1, fk.BSpline())
    with torch.no_grad():
        layer.weight.fill_(1.0)  # B-splines sum to 1: a constant, which wide RSWAFs come close to
    row = study.every_edge(layer, (16,))[0]
    assert row["largest_error"] < 0.01


def test_the_picture(study):
    layer = {"kind": "layer", "edges": 10, "layer": [784, 256], "rswaf_functions": 8}
    counts = [0] * (len(study.BINS) - 1)
    counts[3], counts[9] = 4, 6
    one = {"kind": "function", "scale": 0.7, "width_by_spacing": 0.75, "largest_error": 0.03}
    left, right = study.draw([one, {**layer, "histogram": counts}]).axes
    spline, rswaf, difference = (line.get_ydata() for line in left.get_lines())
    assert (spline[300], rswaf[300]) == pytest.approx((2 / 3, 0.7))
    assert difference == pytest.approx(rswaf - spline)
    (steps,) = right.patches
    assert steps.get_data().values.tolist() == pytest.approx([100 * count / 10 for count in counts])
