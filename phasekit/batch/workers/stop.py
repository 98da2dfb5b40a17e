"""Ctrl-C: the first lets the running rows end within seconds, the second ends them at once."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol

#: Time that running rows get to end by themselves after the first Ctrl-C [s].
GRACE_S = 3.0


class Due(Protocol):
    """What tells a running row to end."""

    def is_due(self) -> bool:
        """Whether rows that still run are to be ended now."""


class Stop:
    """Whether a batch was asked to stop, and from when its rows are ended."""

    def __init__(self) -> None:
        self._deadline: float | None = None
        self._asked = threading.Event()
        self.n_asked = 0
        self.signal = 0
        #: Why nothing further can be run, where nobody asked to stop.
        self.reason = ""

    def ask(self, number: int = 0) -> None:
        """Ask to stop; asked again, nothing gets more time."""
        self.n_asked += 1
        self.signal = self.signal or number
        self._deadline = time.monotonic() + (GRACE_S if self.n_asked == 1 else 0.0)
        self._asked.set()

    def give_up(self, reason: str) -> None:
        """Stop because nothing further can be run."""
        self.reason = self.reason or reason
        self._asked.set()

    def is_asked(self) -> bool:
        """Whether no further row is to start."""
        return self._asked.is_set()

    def is_due(self) -> bool:
        """Whether rows that still run are to be ended now."""
        return self._deadline is not None and time.monotonic() >= self._deadline


@contextmanager
def catch_signals(stop: Stop) -> Iterator[None]:
    """Turn Ctrl-C and the request to end (SIGTERM, as schedulers send it) into a stop; only in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ask(number: int, _: FrameType | None) -> None:
        stop.ask(number)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
