"""One row of a batch: run where it is not done, and told in the ledger."""

import contextlib
import functools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from ..ledger.events import Event, Ledger
from ..ledger.hashes import hash_file, read_key
from ..ledger.inputs import expand_paths, list_inputs
from ..ledger.truth import describe_row, find_changes
from ..parameters import Parameter, find_notebook, notebook_parameters
from ..paths import check_files, make_absolute
from ..record import read_versions, write_record
from ..runner import describe_failure, run_row
from ..workers.pool import Limits, Outcome
from ..workers.stop import Stop
from .row import BatchRow, BatchSettings


class Worker(Protocol):
    """What runs rows: a process of its own, or this one."""

    def run(self, row: Mapping[str, Any], limits: Limits, stop: Stop) -> Outcome:
        """Run a row and say how it ended."""

    def close(self) -> None:
        """End the worker."""


class Events(Protocol):
    """What is told of the rows: the ledger of a batch, or the journal of one row."""

    def append(self, row: str, kind: str, reason: str = "", detail: Mapping[str, Any] | None = None) -> None:
        """Append an event."""

    def read_states(self) -> dict[str, Event]:
        """Last state of each row."""

    def find_hash(self, path: str, key: tuple[int, ...]) -> str | None:
        """Hash of a file that is known."""

    def save_hash(self, path: str, key: tuple[int, ...], sha256: str) -> None:
        """Keep the hash of a file."""


class LocalWorker:
    """Runs rows by this process, each in a kernel of its own; it keeps no limits and cannot stop a row."""

    def run(self, row: Mapping[str, Any], limits: Limits, stop: Stop) -> Outcome:
        """Run a row and say how it ended."""
        return Outcome(run_row(row))

    def close(self) -> None:
        """Nothing is left to end."""


class JobRunner:
    """Runs rows into one folder and tells the ledger; its methods may be called from several threads."""

    def __init__(
        self, folder: Path, ledger: Events, settings: BatchSettings, stop: Stop, *, is_locked: bool = False
    ) -> None:
        self._folder, self._ledger, self._settings, self._stop = folder, ledger, settings, stop
        self._is_locked = is_locked  # the caller holds the lock of the row
        self._states = ledger.read_states()
        # Read once: all rows of a batch are compared with the same versions.
        self._versions = read_versions()

    def run(self, row: BatchRow, worker: Worker) -> dict[str, Any]:
        """Record of a row that is done, was run now, or was stopped; ``why`` says why it was run."""
        try:
            definition, inputs = self._describe(row)
        except Exception as error:  # one row must not stop the others
            return self._fail(row, [f"{type(error).__name__}: {error}"])
        last = self._states.get(row.name)
        changes = find_changes(last, definition, self._folder / row.name, self._hash)
        if not changes and self._settings.resume:
            # Of a row without a last state find_changes says that it was not run yet.
            assert last is not None
            self._ledger.append(row.name, "skipped", "done")
            return {**last.detail["record"], "skipped": True, "why": []}
        why = changes or ["asked for again"]
        try:
            # After the comparison, so that the record of a missing file also says why the row had to run.
            check_files(_read_parameters(row.workflow), row.parameters)
        except Exception as error:
            return self._fail(row, [f"{type(error).__name__}: {error}"], why)
        return self._run_attempts(row, worker, definition, inputs, why)

    def _describe(self, row: BatchRow) -> tuple[dict[str, Any], list[str]]:
        """What decides the result of a row, and the files among it."""
        notebook = find_notebook(row.workflow).resolve()
        declared = _read_parameters(row.workflow)
        given = make_absolute(declared, {name: value for name, value in row.parameters.items() if name in declared})
        values = {name: found.default for name, found in declared.items()} | given
        inputs = list_inputs(values, notebook.parent) if row.inputs is None else expand_paths(row.inputs)
        return describe_row(notebook, row.parameters, inputs, self._versions, self._hash), inputs

    def _run_attempts(
        self, row: BatchRow, worker: Worker, definition: Mapping[str, Any], inputs: Sequence[str], why: list[str]
    ) -> dict[str, Any]:
        words: dict[str, Any] = {"workflow": row.workflow, "folder": str((self._folder / row.name).resolve())}
        words |= {"parameters": dict(row.parameters), "is_locked": self._is_locked}
        limits = Limits(
            self._settings.memory_gb if row.memory_gb is None else row.memory_gb,
            self._settings.time_s if row.time_s is None else row.time_s,
        )
        # An instrument may still write a file: its key before and after the run shows that.
        keys = _read_keys(inputs)
        for attempt in range(1, self._settings.retries + 2):
            self._ledger.append(row.name, "started", "; ".join(why), {"attempt": attempt, "process": os.getpid()})
            outcome = worker.run(words, limits, self._stop)
            # After Ctrl-C a crash is most likely its consequence, and no failure of the row.
            if outcome.interrupted or (outcome.crash and self._stop.is_asked()):
                return self._interrupt(row, why)
            record = self._read_outcome(words, outcome)
            # An error of a cell would come back, so only a crash is tried again.
            if not outcome.crash or attempt > self._settings.retries:
                break
            self._ledger.append(row.name, "failed", f"{record['error']} (it is tried again)")
            why = [*why, f"tried again: {outcome.crash}"]
        changed = [Path(path).name for path, key in _read_keys(inputs).items() if keys.get(path) != key]
        if record["status"] == "ok" and changed:
            error = f"input {', '.join(changed)} changed while the row ran; run it again when the file is complete"
            record |= {"status": "failed", "error": error}
        record |= {"why": why, "attempts": attempt}
        kind = "finished" if record["status"] == "ok" else "failed"
        detail = {"definition": dict(definition), "results": record.get("results", {}), "record": record}
        self._ledger.append(row.name, kind, record["error"] or "; ".join(why), detail)
        return record

    def _read_outcome(self, words: Mapping[str, Any], outcome: Outcome) -> dict[str, Any]:
        """Record of a run; that of a run that left none, or was ended, says why."""
        if outcome.record is None:
            return describe_failure(words, outcome.limit or outcome.crash)
        record = dict(outcome.record)
        if outcome.limit:
            # The kernel was ended at the limit: its own record names a dead kernel and not the reason.
            record |= {"status": "failed", "error": outcome.limit, "results": {}}
            with contextlib.suppress(OSError):
                write_record(words["folder"], record)
        return record

    def _interrupt(self, row: BatchRow, why: list[str]) -> dict[str, Any]:
        self._ledger.append(row.name, "interrupted", "the batch was stopped")
        record: dict[str, Any] = {"workflow": row.workflow, "status": "interrupted", "why": why}
        record |= {"error": "the batch was stopped", "parameters": dict(row.parameters), "versions": self._versions}
        with contextlib.suppress(OSError):
            write_record(self._folder / row.name, record)
        return record

    def _fail(self, row: BatchRow, errors: list[str], why: Sequence[str] = ()) -> dict[str, Any]:
        """Record of a row that cannot be run."""
        words: dict[str, Any] = {"workflow": row.workflow, "folder": self._folder / row.name}
        words["parameters"] = row.parameters
        record = {**describe_failure(words, "; ".join(errors)), "why": list(why)}
        self._ledger.append(row.name, "failed", record["error"], {"record": record})
        return record

    def _hash(self, path: Path) -> str:
        return hash_file(self._ledger, path)


def close_interrupted(ledger: Ledger, names: Sequence[str]) -> list[Event]:
    """Tell in the ledger that the rows which a batch left when it was killed are interrupted."""
    left = [event for name, event in ledger.read_states().items() if event.kind == "started" and name in set(names)]
    for event in left:
        reason = f"its batch (process {event.detail.get('process', '?')}) ended before it did"
        ledger.append(event.row, "interrupted", reason)
    return left


def read_record(event: Event) -> dict[str, Any]:
    """Record of a row from its last state; that of a row which left none says how it ended."""
    status = {"finished": "ok", "failed": "failed"}.get(event.kind, "interrupted")
    return {"status": status, "error": event.reason if status != "ok" else None, **event.detail.get("record", {})}


def _read_keys(paths: Sequence[str]) -> dict[str, tuple[int, ...] | None]:
    """Keys of the files (:func:`read_key`); ``None`` for one that is not there."""
    keys: dict[str, tuple[int, ...] | None] = {}
    for path in paths:
        keys[path] = None
        with contextlib.suppress(OSError):
            keys[path] = read_key(path)
    return keys


# The key is an argument, so that a notebook which was changed since is read again.
@functools.lru_cache(maxsize=64)
def _read_cached(workflow: str, key: tuple[int, ...]) -> dict[str, Parameter]:
    return notebook_parameters(find_notebook(workflow))


def _read_parameters(workflow: str) -> dict[str, Parameter]:
    """Parameters of a notebook, read once for all rows."""
    return _read_cached(workflow, read_key(find_notebook(workflow)))
