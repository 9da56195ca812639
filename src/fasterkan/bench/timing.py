"""Timing in turns: every subject of a cell once a round, so that whatever slows the machine slows them alike."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Mapping

import torch

_SLOW = 0.5
"""Seconds above which a call needs no untimed one before it, and one timed call is a turn."""


@dataclasses.dataclass(frozen=True)
class Spread:
    """Median and the range of the middle three fifths."""

    median: float
    p20: float
    p80: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        """Return the spread of one value or more."""
        if len(values) == 1:
            return cls(*values * 3)
        fifths = statistics.quantiles(values, n=5, method="inclusive")
        return cls(statistics.median(values), fifths[0], fifths[3])


def interleave(
    subjects: Mapping[str, Callable[[], object]],
    *,
    seconds: float,
    calls: int = 3,
    least: int = 5,
    most: int = 60,
    device: str = "cpu",
) -> dict[str, list[float]]:
    """Run the subjects in turn, round after round, and return the milliseconds of each round.

    A turn is an untimed call, which brings a subject's own data into the caches, and the median of `calls` timed ones.

    Args:
        subjects: what to call, by name; each was called before, so nothing is compiled or allocated the first time.
        seconds: end after the round in which so much time has passed.
        calls: timed calls in a turn.
        least: rounds at least.
        most: rounds at most.
        device: whose work to wait for.
    """
    times: dict[str, list[float]] = {name: [] for name in subjects}
    begun = time.perf_counter()
    for round_ in range(most):
        if round_ >= least and time.perf_counter() - begun > seconds:
            break
        for name, run in subjects.items():
            times[name].append(_turn(run, calls, device))
    return times


def ratios(times: Mapping[str, list[float]], reference: str) -> dict[str, Spread]:
    """Return each subject's time by that of the reference, formed within each round."""
    return {name: Spread.of([t / r for t, r in zip(one, times[reference], strict=True)]) for name, one in times.items()}


def _turn(run: Callable[[], object], calls: int, device: str) -> float:
    first = _call(run, device)
    if first > _SLOW:
        return first * 1e3
    if device == "cuda":  # calls are queued one behind the other, as in training
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(calls):
            run()
        torch.cuda.synchronize()
        return (time.perf_counter() - start) * 1e3 / calls
    return statistics.median(_call(run, device) for _ in range(calls)) * 1e3


def _call(run: Callable[[], object], device: str) -> float:
    start = time.perf_counter()
    run()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start
