"""Timing in turns: each subject runs once per round, so a slow moment of the machine slows all subjects equally."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Mapping

import torch

_SLOW = 0.5
"""Seconds above which a turn is one timed call, without an untimed call before it."""


@dataclasses.dataclass(frozen=True)
class Spread:
    """The median, and the 20th and 80th percentiles."""

    median: float
    p20: float
    p80: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        """Return the spread of at least one value."""
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
    """Run the subjects in turns, round after round, and return the milliseconds of each round.

    A turn begins with an untimed call, which brings the subject's own data into the caches. The time of the turn is the
    median of `calls` timed calls; on CUDA it is their mean, because the calls are queued.

    Args:
        subjects: functions to call, by name. Each must have been called before, so that no turn includes compilation.
        seconds: no new round begins after this time.
        calls: number of timed calls in a turn.
        least: least number of rounds.
        most: largest number of rounds.
        device: the device to wait for, "cpu" or "cuda".
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
    """Return the time of each subject divided by that of the reference in the same round."""
    return {name: Spread.of([t / r for t, r in zip(one, times[reference], strict=True)]) for name, one in times.items()}


def _turn(run: Callable[[], object], calls: int, device: str) -> float:
    first = _call(run, device)
    if first > _SLOW:
        return first * 1e3
    if device == "cuda":  # calls are queued one after the other, as in training
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
