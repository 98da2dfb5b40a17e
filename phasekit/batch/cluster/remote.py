"""What runs on a worker of a dask cluster: one row by the same worker process as on one machine."""

import contextlib
import json
import os
import socket
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..record import read_versions
from ..runner import describe_failure
from ..workers.pool import Limits, Outcome, WorkerProcess, make_environment

#: A worker process without a row ends after this time [s]: its batch may have been killed.
_IDLE_S = 60.0
_MARK = ".attempt-"


class _Processes:
    """Worker processes of this dask worker that wait for a row; each has imported everything."""

    def __init__(self) -> None:
        self._alone = threading.Lock()
        self._idle: list[tuple[WorkerProcess, threading.Timer]] = []

    def take(self, n_threads: int) -> WorkerProcess:
        """A process that waits, or a new one."""
        with self._alone:
            found = self._idle.pop() if self._idle else None
        if found is None:
            return WorkerProcess(make_environment(n_threads))
        found[1].cancel()
        return found[0]

    def give_back(self, process: WorkerProcess) -> None:
        """Keep a process for the next row, for a while."""
        timer = threading.Timer(_IDLE_S, self._end, [process])
        timer.daemon = True
        with self._alone:
            self._idle.append((process, timer))
        timer.start()

    def end_all(self) -> None:
        """End the processes that wait."""
        with self._alone:
            found, self._idle = self._idle, []
        for process, timer in found:
            timer.cancel()
            process.close()

    def _end(self, process: WorkerProcess) -> None:
        with self._alone:
            kept = [pair for pair in self._idle if pair[0] is not process]
            is_idle, self._idle = len(kept) < len(self._idle), kept
        if is_idle:
            process.close()


_PROCESSES = _Processes()


class _Withdrawn:
    """Whether dask withdrew the task of this thread: its batch was stopped or killed, or its worker ends."""

    def __init__(self) -> None:
        from distributed import get_worker

        self.worker = get_worker()
        self._key = self.worker.get_current_task()

    def is_due(self) -> bool:
        """Whether the row is to be ended now."""
        task = self.worker.state.tasks.get(self._key)
        return task is None or task.state != "executing"


def run_remotely(row: Mapping[str, Any], limits: tuple[float | None, ...], attempt: str) -> Outcome:
    """Run a row on this dask worker; whatever goes wrong is in the outcome.

    ``attempt`` is a word that no other attempt has. Dask starts a task again whose worker died. A row is not begun
    twice by one attempt: whether it is tried again is decided by the batch.
    """
    folder = Path(row["folder"])
    fault = describe_difference(row["versions"], read_versions())
    if fault:
        return Outcome(describe_failure(row, f"cluster worker {socket.gethostname()}: {fault}"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob(f"{_MARK}*"):
            if old.name != f"{_MARK}{attempt}":
                old.unlink(missing_ok=True)
        with (folder / f"{_MARK}{attempt}").open("x", encoding="utf-8") as mark:
            mark.write(f"process {os.getpid()} on {socket.gethostname()}")
    except FileExistsError:
        return Outcome(None, crash=f"the cluster's worker ({_read_mark(folder, attempt)}) died or was lost")
    except OSError as error:
        return Outcome(describe_failure(row, f"{type(error).__name__}: {error}"))
    withdrawn = _Withdrawn()
    process = _PROCESSES.take(withdrawn.worker.state.nthreads)
    outcome = process.run(row, Limits(*limits), withdrawn)
    if outcome.interrupted:
        process.close()
    else:
        _PROCESSES.give_back(process)
    return outcome


def describe_difference(expected: Mapping[str, str], found: Mapping[str, str]) -> str:
    """Versions of packages that differ from those of the batch; empty where all are the same.

    Examples
    --------
    >>> describe_difference({"numpy": "2.1"}, {"numpy": "2.0"})
    'numpy 2.0, and 2.1 where the batch was started'
    """
    wrong = [name for name in {**expected, **found} if expected.get(name) != found.get(name)]
    parts = (
        f"{name} {found.get(name, '-')}, and {expected.get(name, '-')} where the batch was started" for name in wrong
    )
    return "; ".join(parts)


def probe_worker(file: str, content: str) -> dict[str, Any]:
    """What a cluster's worker sees of a file of the batch, and its versions."""
    seen = ""
    with contextlib.suppress(OSError):
        seen = Path(file).read_text(encoding="utf-8")
    return {"sees": seen == content, "versions": read_versions(), "host": socket.gethostname()}


def end_processes() -> None:
    """End the worker processes that wait on this dask worker."""
    _PROCESSES.end_all()


def remove_mark(folder: str | os.PathLike[str], attempt: str) -> None:
    """Remove the mark of an attempt that has ended."""
    with contextlib.suppress(OSError):
        (Path(folder) / f"{_MARK}{attempt}").unlink(missing_ok=True)


def _read_mark(folder: Path, attempt: str) -> str:
    try:
        return (folder / f"{_MARK}{attempt}").read_text(encoding="utf-8") or "not known"
    except OSError:
        return "not known"


def make_plain_row(row: Mapping[str, Any], versions: Mapping[str, str]) -> dict[str, Any]:
    """Row as it is sent: plain values, and the versions that decide its result."""
    plain: dict[str, Any] = json.loads(json.dumps(dict(row), default=str))
    return plain | {"versions": dict(versions)}
