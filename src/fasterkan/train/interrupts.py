"""Delaying Ctrl-C until the end of a step."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupts:
    """Whether Ctrl-C was pressed since training began.

    Attributes:
        pending: whether Ctrl-C was pressed at least once.
        forced: whether it was pressed again before the end of the step. The step may then be half done.
    """

    def __init__(self) -> None:
        self.pending = self.forced = False

    def check(self) -> None:
        """Raise KeyboardInterrupt if Ctrl-C was pressed."""
        if self.pending:
            raise KeyboardInterrupt

    def note(self, signum: int, frame: FrameType | None) -> None:
        """Handle the signal: the first time, wait for `check`; the second time, stop at once."""
        self.forced = self.pending
        self.pending = True
        if self.forced:
            raise KeyboardInterrupt


@contextmanager
def delayed_interrupts() -> Iterator[Interrupts]:
    """Yield an object that notes Ctrl-C, in the main thread and if no other handler is installed."""
    interrupts = Interrupts()
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield interrupts
        return
    signal.signal(signal.SIGINT, interrupts.note)
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
