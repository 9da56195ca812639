"""The benchmark of `fasterkan bench`: subjects, tasks, a runner that takes turns, and results as JSON lines."""

from __future__ import annotations

from .peers import PEERS, Peer, PeerError
from .record import Record, RecordError
from .runner import Observer, bench
from .subjects import FAMILIES, Family, Subject, families
from .tasks import GROWTH, SUITES, TASKS, Task

__all__ = [
    "FAMILIES",
    "GROWTH",
    "PEERS",
    "SUITES",
    "TASKS",
    "Family",
    "Observer",
    "Peer",
    "PeerError",
    "Record",
    "RecordError",
    "Subject",
    "Task",
    "bench",
    "families",
]
