"""The batch's side of a worker: start it, give it a row, watch the limits of the row, and end what is left."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import IO, Any, NamedTuple

from .isolation import end_children, end_group, measure_memory
from .server import PARENT
from .stop import Due

_POLL_S = 0.05
#: Time for a row to write its record after its kernel was ended [s].
_GRACE_S = 10.0
#: Time between two measurements of the memory [s].
_MEMORY_S = 0.2


class Outcome(NamedTuple):
    """How a row ended in its worker."""

    record: dict[str, Any] | None  # None where its process ended without one
    crash: str = ""  # a process that ended by itself: running the row again may help
    limit: str = ""  # a limit that the row did not keep
    interrupted: bool = False


class Limits(NamedTuple):
    """Limits of one row; ``None`` has no limit."""

    memory_gb: float | None = None
    time_s: float | None = None


class WorkerProcess:
    """A worker that runs one row at a time in processes of its own; it is started when it is needed."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None
        self._messages: queue.Queue[dict[str, Any] | None] = queue.Queue()

    def run(self, row: Mapping[str, Any], limits: Limits, stop: Due) -> Outcome:
        """Run a row until it ended, did not keep a limit, or the batch was stopped."""
        watched = _Watch(limits, stop)
        if not self._send(row):
            return Outcome(None, crash=self._describe_end())
        assert self._process is not None
        while True:
            try:
                message = self._messages.get(timeout=_POLL_S)
            except queue.Empty:
                if watched.check():
                    end_group(self._process.pid)  # it still imports
                continue
            if message is None:  # the worker itself ended
                watched.end()
                return watched.make_outcome(self._describe_end())
            if "exit" in message:
                code = message["exit"]
                return watched.make_outcome("" if not code else f"the process of the row was ended {_name_end(code)}")
            watched.note(message)

    def close(self) -> None:
        """End the worker; what it runs ends with it."""
        if self._process is None:
            return
        _close_quietly(self._process.stdin)
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            end_group(self._process.pid)
        self._describe_end()

    def _send(self, row: Mapping[str, Any]) -> bool:
        """Give the worker a row, and start it where there is none; whether it took the row."""
        if self._process is not None and self._process.poll() is not None:
            self._describe_end()
        if self._process is None:
            self._start()
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(dict(row), default=str).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            return False
        return True

    def _start(self) -> None:
        self._messages = queue.Queue()
        # Its own session: Ctrl-C in the terminal reaches the batch, which decides what ends.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "phasekit.batch.workers.server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self._environment | {PARENT: str(os.getpid())},
            start_new_session=True,
        )
        self._reader = threading.Thread(target=_read_messages, args=(self._process.stdout, self._messages), daemon=True)
        self._reader.start()

    def _describe_end(self) -> str:
        if self._process is None:
            return "the worker could not be started"
        code = self._process.wait()
        self._reader.join(timeout=5)  # it ends with the output
        _close_quietly(self._process.stdin)
        _close_quietly(self._process.stdout)
        self._process = None
        return f"the worker was ended {_name_end(code)}"


class _Watch:
    """One row while it runs: its process, its record, its limits."""

    def __init__(self, limits: Limits, stop: Due) -> None:
        self._limits, self._stop = limits, stop
        self._start = self._measured = time.monotonic()
        self._ended = 0.0
        self._pid: int | None = None
        self._record: dict[str, Any] | None = None
        self._limit = ""
        self._interrupted = False

    def note(self, message: Mapping[str, Any]) -> None:
        if "pid" in message:
            self._pid = int(message["pid"])
            self._start = time.monotonic()  # the worker's imports are not the row's
        self._record = message.get("record", self._record)

    def check(self) -> bool:
        """End the row where it must not go on; whether its worker, which has not begun with it, is to be ended."""
        now = time.monotonic()
        if self._record is not None:
            return False
        if self._stop.is_due() and not self._interrupted:
            self._interrupted = True
            self.end()
        if self._pid is None or self._interrupted:
            return self._interrupted and self._pid is None
        if self._limit and now - self._ended > _GRACE_S:
            end_group(self._pid)
        elif not self._limit:
            self._limit = self._find_limit(now)
            if self._limit:
                self._ended = now
                end_children(self._pid)  # the kernel; the row's process still writes what there is
        return False

    def end(self) -> None:
        """End the process of the row and what it started."""
        if self._pid is not None:
            end_group(self._pid)

    def make_outcome(self, end: str) -> Outcome:
        # A row that had told its record before it was ended is complete.
        if self._record is not None and not self._limit:
            dead = str(self._record.get("error") or "").startswith("DeadKernelError")
            return Outcome(self._record, crash="its kernel was killed or crashed" if dead else "")
        if self._interrupted:
            return Outcome(None, interrupted=True)
        return Outcome(self._record, crash="" if self._limit else end, limit=self._limit)

    def _find_limit(self, now: float) -> str:
        if self._limits.time_s is not None and now - self._start > self._limits.time_s:
            return f"it was stopped after {self._limits.time_s:g} s, its limit of time"
        if self._limits.memory_gb is None or now - self._measured < _MEMORY_S or self._pid is None:
            return ""
        self._measured = now
        used = measure_memory(self._pid)
        if used <= self._limits.memory_gb:
            return ""
        return f"it was stopped at {used:.2f} GB, above its limit of memory of {self._limits.memory_gb:g} GB"


def _read_messages(pipe: IO[bytes], messages: "queue.Queue[dict[str, Any] | None]") -> None:
    """Put what a worker says into a queue; at its end, ``None``."""
    try:
        for line in pipe:
            messages.put(json.loads(line))
    except (OSError, ValueError):  # closed, or cut by a kill
        pass
    messages.put(None)


def _close_quietly(pipe: IO[bytes] | None) -> None:
    if pipe is not None:
        with contextlib.suppress(OSError):
            pipe.close()


def _name_end(code: int) -> str:
    """Exit code in words."""
    if code >= 0:
        return f"with code {code}"
    try:
        return f"by signal {-code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"by signal {-code}"


def make_environment(workers: int) -> dict[str, str]:
    """Environment of the workers: with several, each gets one BLAS thread unless the user set another number."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    return {**(dict.fromkeys(names, "1") if workers > 1 else {}), **os.environ}
