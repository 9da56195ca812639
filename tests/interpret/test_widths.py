"""Shapes proposed by quick fits."""

from __future__ import annotations

import inspect

import pytest
import torch

import fasterkan as fk


@pytest.fixture
def rows():
    return torch.rand(200, 2, dtype=torch.float64) * 2 - 1


def test_an_additive_table_needs_no_hidden_layer(rows, train):
    y = torch.sin(2 * rows[:, 0]) + rows[:, 1] ** 2 + 0.1 * torch.randn(200)
    found = fk.auto_width(rows, y, shapes=[[2, 1], [2, 2, 1], [2, 4, 1]], fit=train)
    assert found.best == (2, 1)
    assert [trial.parameters for trial in found.trials] == sorted(trial.parameters for trial in found.trials)
    assert len(str(found).splitlines()) == 4 and "[2, 1]" in str(found).splitlines()[1]


def test_a_product_needs_one(rows, train):
    found = fk.auto_width(rows, rows[:, 0] * rows[:, 1], shapes=[[2, 1], [2, 3, 1]], fit=train)
    assert found.best == (2, 3, 1)
    assert found.trials[0].error > 0.5 > 0.2 > found.trials[1].error


def test_errors_are_in_units_of_the_targets_deviation(rows):
    """A fit that does nothing but answer the mean is worth 1, whatever the scale."""

    def mean(net, x, y):
        with torch.no_grad():
            for layer in net.kan_layers():
                layer.weight.zero_()
                layer.base_weight.zero_()
            net.layers[-1].bias.copy_(y.mean(0))

    for scale in (1e-6, 1.0, 1e6):
        found = fk.auto_width(rows, scale * rows, shapes=[[2, 2]], fit=mean)
        assert found.trials[0].error == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("value", [0.0, 1.0, 1e200], ids=["zeros", "ones", "huge"])
def test_targets_that_are_constant_where_they_are_measured_have_errors_near_one(rows, value):
    """All rows but one hold the same value, and that one may be held out or not; the fit answers nothing but zeros."""
    y = torch.full((200,), value, dtype=torch.float64)
    constant = fk.auto_width(rows, y, shapes=[[2, 1]], fit=answer_zero).trials[0].error
    assert constant == pytest.approx(float(value > 0))
    y = torch.zeros(200, dtype=torch.float64)
    y[0] = value
    assert fk.auto_width(rows, y, shapes=[[2, 1]], fit=answer_zero).trials[0].error <= 1.1


def answer_zero(net, x, y):
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()


def test_lists_and_reversed_arrays_are_tables_too(rows, train):
    y = rows[:, 0] ** 2
    one = fk.auto_width(rows, y, shapes=[[2, 1]], fit=train).trials[0].error
    for x, target in ((rows.tolist(), y.tolist()), (rows.flip(0).numpy()[::-1], y.flip(0).numpy()[::-1])):
        assert fk.auto_width(x, target, shapes=[[2, 1]], fit=train).trials[0].error == one


def test_default_shapes_go_from_small_to_large_and_stop_in_time(rows):
    tried = []
    found = fk.auto_width(rows, rows[:, 0], fit=lambda net, x, y: tried.append(net.layers_hidden), margin=1e9)
    sizes = [sum(a * b for a, b in zip(shape, shape[1:], strict=False)) for shape in tried]  # noqa: RUF007
    assert tried[0] == (2, 1) == found.best
    assert sizes == sorted(sizes) and 4 <= len(tried) <= 8


def test_the_default_fit_is_the_second_order_one(rows):
    found = fk.auto_width(rows[:60], rows[:60, 0] ** 2, shapes=[[2, 1]], basis=fk.BSpline(3))
    assert found.trials[0].error < 1e-3


@pytest.mark.parametrize(
    ("x", "y", "options", "error", "words"),
    [
        (torch.rand(30, 2), torch.rand(29), {}, ValueError, r"X \[30, 2\] and y \[29, 1\]"),
        (torch.rand(10, 2), torch.rand(10), {}, ValueError, "X has 10 rows, at least 20"),
        (torch.rand(30, 2), torch.full((30,), float("nan")), {}, ValueError, "y is nan in row 0, column 0 and 29 more"),
        ([[1.0], [2.0, 3.0]], torch.rand(2), {}, TypeError, "X must be a tensor or an array of numbers, got list"),
        (torch.rand(30, 2), torch.rand(30), {"shapes": []}, ValueError, "shapes is empty; give at least one"),
        (torch.rand(30, 2), torch.rand(30), {"shapes": [[]]}, ValueError, r"shape \[\] is too short; give inputs"),
        (torch.rand(30, 2), torch.rand(30), {"shapes": [[3, 1]]}, ValueError, r"shape \(3, 1\) does not fit 2 columns"),
        (torch.rand(30, 2), torch.rand(30), {"margin": -1}, ValueError, "margin must not be negative"),
    ],
    ids=["rows", "few", "nan", "list", "no-shapes", "empty-shape", "shape", "margin"],
)
def test_bad_calls(x, y, options, error, words):
    with pytest.raises(error, match=words):
        fk.auto_width(x, y, **options)


def test_settings_are_given_by_name():
    kinds = {name: p.kind for name, p in inspect.signature(fk.auto_width).parameters.items()}
    assert kinds.pop("X") == kinds.pop("y") == inspect.Parameter.POSITIONAL_OR_KEYWORD
    assert set(kinds.values()) == {inspect.Parameter.KEYWORD_ONLY}


def test_rounding_errors_do_not_tell_shapes_apart(rows: torch.Tensor) -> None:
    errors = {(2, 1): 9e-13, (2, 1, 1): 1e-16, (2, 2, 1): 1e-15}

    def almost(net: fk.KAN, x: torch.Tensor, y: torch.Tensor) -> None:
        error = errors[net.layers_hidden]
        net.forward = lambda x: x[:, :1] * (1 + error)

    found = fk.auto_width(rows, rows[:, 0], shapes=list(errors), fit=almost)
    assert found.best == (2, 1)
    errors[2, 1] = 1e-11
    assert fk.auto_width(rows, rows[:, 0], shapes=list(errors), fit=almost).best == (2, 1, 1)
