"""The batch's side of a dask cluster: rows are sent to it, and its workers run them."""

import contextlib
import logging
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from phasekit.errors import ReadError

from ..ledger.lock import wait_for_row
from ..record import read_versions
from ..workers.pool import Limits, Outcome
from ..workers.stop import Stop
from .remote import describe_difference, end_processes, make_plain_row, probe_worker, remove_mark, run_remotely

#: Time for the scheduler to answer [s].
ANSWER_S = 10.0
_POLL_S = 0.2
#: Time for a worker of the cluster to end a row that was withdrawn [s].
_END_S = 2.0


class Cluster:
    """Connection to a scheduler; its methods may be called from several threads."""

    def __init__(self, client: Any, address: str) -> None:
        self._client, self._address = client, address
        self._versions = read_versions()

    def count_threads(self) -> int:
        """Rows that the workers of the cluster can run at the same time, now."""
        return sum(self._client.nthreads().values())

    def check(self, folder: Path) -> None:
        """Refuse a cluster whose workers see another file system, or have other versions."""
        file, content = folder / ".cluster.part", uuid.uuid4().hex
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file.write_text(content, encoding="utf-8")
        except OSError as error:
            cure = "make room on the disk, or give a folder to write to"
            raise ReadError(folder, found=f"a folder that cannot be written ({error.strerror})", cure=cure) from error
        try:
            found = self._client.run(probe_worker, str(file.resolve()), content, on_error="return")
        finally:
            file.unlink(missing_ok=True)
        for place, said in sorted(found.items()):
            # A worker that died meanwhile runs no row. One that comes later is checked by its first row.
            if isinstance(said, OSError):
                continue
            if isinstance(said, BaseException):
                cure = f"install phasekit {self._versions.get('phasekit', '')} there, as here"
                raise ReadError(self._address, found=f"a worker at {place} that cannot run rows ({said})", cure=cure)
            if not said["sees"]:
                found_there = f"a worker at {place} ({said['host']}) that does not see the folder {folder.resolve()}"
                cure = "give --out a folder that all machines see under the same path"
                raise ReadError(self._address, found=found_there, cure=cure)
            fault = describe_difference(self._versions, said["versions"])
            if fault:
                cure = "give all machines the same environment: the versions decide whether a row is done"
                raise ReadError(self._address, found=f"a worker at {place} with {fault}", cure=cure)

    def run(self, row: Mapping[str, Any], limits: Limits, stop: Stop) -> Outcome:
        """Run a row on a worker of the cluster and say how it ended."""
        attempt, ended = uuid.uuid4().hex, threading.Event()
        words = make_plain_row(row, self._versions)
        # A name of its own: dask would give the answer of an equal task without running it.
        future = self._client.submit(run_remotely, words, tuple(limits), attempt, key=f"phasekit-row-{attempt}")
        future.add_done_callback(lambda _: ended.set())
        try:
            while not ended.wait(_POLL_S):
                if stop.is_due():
                    future.cancel()
                    wait_for_row(row["folder"], _END_S)
                    return Outcome(None, interrupted=True)
            return self._read_answer(future, stop)
        finally:
            remove_mark(row["folder"], attempt)

    def _read_answer(self, future: Any, stop: Stop) -> Outcome:
        from distributed import KilledWorker

        try:
            return Outcome(*future.result())
        except KilledWorker as error:
            return Outcome(None, crash=f"the cluster's worker died ({error.last_worker.address})")
        except Exception as error:  # the scheduler is gone, or the task could not be sent or read
            if self._client.status == "running" and type(error).__name__ != "FutureCancelledError":
                return Outcome(None, crash=f"{type(error).__name__} on the cluster: {error}")
            # Every further row would fail for the same reason.
            stop.give_up(f"the scheduler at {self._address} was lost; rows that were not run are queued")
            return Outcome(None, interrupted=True)

    def end_processes(self) -> None:
        """End the processes of this batch on the workers."""
        with contextlib.suppress(Exception):  # a worker or the scheduler may be gone
            self._client.run(end_processes, on_error="ignore")


class ClusterWorker:
    """Runs one row at a time on a cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def run(self, row: Mapping[str, Any], limits: Limits, stop: Stop) -> Outcome:
        """Run a row and say how it ended."""
        return self._cluster.run(row, limits, stop)

    def close(self) -> None:
        """Nothing of its own is left to end."""


@contextmanager
def open_cluster(address: str, folder: Path) -> Iterator[Cluster | None]:
    """Connect to a scheduler, and check what its workers see; ``None`` for an empty address.

    Raises
    ------
    ReadError
        ``distributed`` is not installed, the scheduler does not answer, or a worker cannot run rows of this batch.
    """
    if not address:
        yield None
        return
    client = _connect(address)
    log = logging.getLogger("distributed")
    before = log.level
    log.setLevel(logging.CRITICAL)  # what it says about lost workers is told by the rows
    try:
        cluster = Cluster(client, address)
        cluster.check(folder)
        yield cluster
        cluster.end_processes()
    finally:
        with contextlib.suppress(Exception):  # the scheduler may be gone
            client.close(timeout=2)
        log.setLevel(before)


def _connect(address: str) -> Any:
    try:
        client = import_module("distributed").Client
    except ImportError as error:
        cure = f"pip install distributed=={version('dask')}"
        raise ReadError(address, found="a dask cluster, and no package 'distributed'", cure=cure) from error
    try:
        return client(address, timeout=ANSWER_S, set_as_default=False, name="phasekit-batch")
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        cure = "start it with `dask scheduler`, and give the address that it prints, as tcp://HOST:8786"
        found = f"no scheduler that answers ({type(error).__name__}: {error})"
        raise ReadError(address, found=found, cure=cure) from error
