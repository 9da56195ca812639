"""The number in a buffer, known to the host without waiting for the device at each question."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .._torch import is_plain, smallest_number, version_of

_HOST = frozenset({"cpu"})
"""Device types whose memory the host reads without waiting."""


class KnownNumber:
    """What a buffer of one whole number says; the buffer is the truth, and this remembers what was read from it.

    On the CPU the buffer is read at each question. On another device a read waits until the device has done all its
    work. There the buffer is read again only if it may have changed: it is another tensor, has other memory, or its
    version has grown. A 0 ("not set yet") is always read again, since writing to `buffer.data` does not change the
    version.

    While a call is traced, the buffer may be a stand-in without numbers. Then the last buffer that was seen is read.
    """

    def __init__(self) -> None:
        self._known: tuple[Tensor, tuple[int, int] | None, int] | None = None

    def set(self, buffer: Tensor, number: int) -> None:
        """Note that `buffer` now holds `number`."""
        remembered = is_plain(buffer) and buffer.device.type not in _HOST
        self._known = (buffer, _state_of(buffer) if remembered else None, number)

    def watch(self, buffer: Tensor) -> None:
        """Note that `buffer` is the one to read, without reading it."""
        self._known = (buffer, None, 0)

    def of(self, buffer: Tensor) -> int | None:
        """Return the number in `buffer`; None if it holds none (meta device).

        Raises:
            RuntimeError: a CUDA graph is being captured, and the number is not known yet.
        """
        if (known := self._known) is not None:
            seen, state, number = known
            if seen is buffer and number and state is not None and state == _state_of(buffer):
                return number
        if is_plain(buffer):
            if buffer.device.type not in _HOST:
                return self._read(buffer)
            if known is None or known[0] is not buffer:
                self.watch(buffer)
            return int(buffer)
        found = smallest_number(buffer)
        return smallest_number(known[0]) if found is None and known is not None else found

    def _read(self, buffer: Tensor) -> int:
        if buffer.is_cuda and torch.cuda.is_current_stream_capturing():
            raise RuntimeError(
                "FeatureNorm: a CUDA graph is being captured, and whether the norm is calibrated is not known yet; run "
                "one forward before the capture"
            )
        self.set(buffer, number := int(buffer))
        return number

    def __getstate__(self) -> dict[str, Any]:
        """A copy must read for itself: its versions begin again at 0."""
        return {"_known": None if self._known is None else (self._known[0], None, 0)}


def _state_of(buffer: Tensor) -> tuple[int, int] | None:
    """What differs after a change: the memory and the version; None if changes leave no trace."""
    version = version_of(buffer)
    return None if version is None else (buffer.data_ptr(), version)
