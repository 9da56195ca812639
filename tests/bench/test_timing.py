"""Turns, rounds and ratios, with a clock that the test moves."""

from __future__ import annotations

import pytest

from fasterkan.bench import timing
from fasterkan.bench.timing import Spread, interleave, ratios


@pytest.fixture
def clock(monkeypatch):
    """A list that holds the time in seconds; `spend` makes a subject of given milliseconds a call."""
    now = [0.0]
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])

    def spend(*milliseconds):
        calls = []

        def run():
            now[0] += milliseconds[len(calls) % len(milliseconds)] / 1e3
            calls.append(now[0])

        run.calls = calls
        return run

    return spend


def test_subjects_take_turns(clock):
    a, b = clock(10), clock(30)
    times = interleave({"a": a, "b": b}, seconds=0, calls=3, least=2, most=9)
    assert times == {"a": pytest.approx([10, 10]), "b": pytest.approx([30, 30])}
    assert len(a.calls) == len(b.calls) == 2 * (1 + 3)
    assert a.calls[4] > b.calls[3] > b.calls[0] > a.calls[3]


def test_a_turn_is_the_median_of_its_calls_after_the_first(clock):
    assert interleave({"a": clock(90, 1, 2, 60)}, seconds=0, least=1, most=1) == {"a": [pytest.approx(2)]}


def test_slow_calls_are_timed_once(clock):
    slow = clock(700)
    assert interleave({"a": slow}, seconds=0, least=2, most=5) == {"a": pytest.approx([700, 700])}
    assert len(slow.calls) == 2


def test_rounds_end_with_the_time(clock):
    eighth = 1000 / 32  # four calls take an eighth of a second
    assert len(interleave({"a": clock(eighth)}, seconds=1.0, least=2, most=100)["a"]) == 9
    assert len(interleave({"a": clock(eighth)}, seconds=9.0, least=2, most=7)["a"]) == 7


def test_ratios_are_formed_within_a_round():
    found = ratios({"mlp": [10.0, 20.0, 40.0], "kan": [20.0, 40.0, 80.0]}, "mlp")
    assert found["kan"] == Spread(2, 2, 2)  # whatever the machine did between rounds
    assert found["mlp"] == Spread(1, 1, 1)


def test_spread():
    assert Spread.of([3.0]) == Spread(3, 3, 3)
    assert Spread.of([float(i) for i in range(11)]) == Spread(5, 2, 8)
