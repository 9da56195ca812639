"""The learning rate as numbers."""

from __future__ import annotations

import pytest

from fasterkan.train.schedule import factor

RISE = [0.5, 1.0]


@pytest.mark.parametrize(
    ("kind", "fall"),
    [
        ("linear", [1.0, 0.75, 0.5, 0.25]),
        ("cosine", [1.0, 0.8535533906, 0.5, 0.1464466094]),
        ("constant", [1.0, 1.0, 1.0, 1.0]),
    ],
)
def test_six_steps_of_which_two_rise(kind, fall):
    assert [factor(kind, step, 6, warmup_steps=2) for step in range(6)] == pytest.approx(RISE + fall)


def test_without_warmup_it_starts_at_the_top():
    assert [factor("linear", step, 2) for step in range(2)] == [1.0, 0.5]


def test_all_warmup():
    assert [factor("linear", step, 2, warmup_steps=2) for step in range(2)] == [0.5, 1.0]
