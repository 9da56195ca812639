"""The time limit of a fit: deadlines of its phases, checked within every long computation."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

now = time.perf_counter
"""Seconds of a clock that only runs forwards."""


class OutOfTimeError(Exception):
    """Ends a computation at a deadline; the phase that started it keeps what it had."""


class Clock:
    """The time since the start of a fit, and the deadline of the present phase.

    Args:
        seconds: the time limit, or None for no limit.
    """

    def __init__(self, seconds: float | None = None) -> None:
        self.started = now()
        self.limited = seconds is not None
        self.seconds = math.inf if seconds is None else seconds
        self.reserve = 0.0
        """Seconds that are kept for the last evaluation."""
        self.deadline = self.end

    @property
    def end(self) -> float:
        """When the last phase must have ended."""
        return self.started + self.seconds - self.reserve

    def keep(self, seconds: float) -> None:
        """Keep so many seconds for the last evaluation."""
        self.reserve = seconds
        self.deadline = self.end

    def elapsed(self) -> float:
        """Return the seconds since the start."""
        return now() - self.started

    def left(self) -> float:
        """Return the seconds until the present deadline; below 0 after it, infinite without a limit."""
        return self.deadline - now() if self.limited else math.inf

    def lacks(self, seconds: float = 0.0) -> bool:
        """Whether less than this time is left."""
        return self.left() <= seconds

    def check(self) -> None:
        """Raise OutOfTimeError after the deadline."""
        if self.lacks():
            raise OutOfTimeError

    @contextmanager
    def until(self, share: float) -> Iterator[None]:
        """Set the deadline to a share of the time between start and end."""
        before = self.deadline
        if self.limited:
            self.deadline = self.started + share * (self.end - self.started)
        try:
            yield
        finally:
            self.deadline = before

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Bring the deadline forward to so many seconds from now."""
        before = self.deadline
        self.deadline = min(before, now() + seconds)
        try:
            yield
        finally:
            self.deadline = before

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Without deadlines, for short computations that must not end early."""
        before, self.deadline = self.deadline, math.inf
        try:
            yield
        finally:
            self.deadline = before
