"""All rows of a batch: one thread for each worker, and this thread for the page and the person."""

import contextlib
import json
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..cluster.client import Cluster, ClusterWorker, open_cluster
from ..cluster.journal import collect_journals
from ..ledger.events import Ledger
from ..ledger.lock import lock_folder
from ..page.numbers import write_tables
from ..page.table import write_page
from ..workers.isolation import end_group, find_process
from ..workers.pages import PageWriter
from ..workers.pool import WorkerProcess, make_environment
from ..workers.stop import Stop, catch_signals
from .job import JobRunner, LocalWorker, Worker, close_interrupted, read_record
from .live import Lines
from .row import BatchOutcome, BatchRow, BatchSettings, select_distinct

#: The page is written again after this time [s], and not more often than one twentieth of the time allows.
_PAGE_S, _PAGE_SHARE = 2.0, 20.0
_POLL_S = 0.1

Report = Callable[[BatchRow, dict[str, Any]], None]


def run_batch(
    rows: Sequence[BatchRow],
    output_dir: str | os.PathLike[str],
    settings: BatchSettings | None = None,
    *,
    report: Report | None = None,
    progress: bool = False,
) -> BatchOutcome:
    """Run the rows that are not done, and keep the page and the tables of all rows up to date.

    Parameters
    ----------
    rows
        Rows, checked. The same row several times is run once.
    output_dir
        Folder of the batch. It gets one folder for each row, the ledger, ``index.html``, ``numbers.csv`` and, where
        pyarrow is installed, ``numbers.parquet``.
    settings
        Workers, limits, retries; see :class:`BatchSettings`.
    report
        Called with each row and its record when it ends, from the thread of the caller.
    progress
        Whether to show the rows that run and the time left on the error output.

    Returns
    -------
    BatchOutcome
        Records in the order of ``rows``. After Ctrl-C it has ``interrupted``; rows that were not run are ``queued``.

    Raises
    ------
    SchemaError
        Two different rows have the same name, or a name lies outside the folder.
    ReadError
        Another batch runs in this folder, or its ledger cannot be written.

    See Also
    --------
    run_manifest : Reads the rows from a file.
    phasekit.batch.ledger.truth.find_changes : Which rows are not done.

    Examples
    --------
    >>> run_batch([BatchRow("../outside", "stxm")], "runs/never")
    Traceback (most recent call last):
    ...
    phasekit.errors.SchemaError: batch: the row '../outside' would write outside runs/never. Give it a plain name.
    """
    chosen = settings or BatchSettings()
    folder = Path(output_dir)
    distinct = select_distinct(rows, folder)
    stop = Stop()
    with (
        catch_signals(stop),
        open_cluster(chosen.scheduler, folder) as cluster,
        Lines(len(distinct), count_workers(chosen, cluster), show=progress) as lines,
        lock_folder(folder, wait=chosen.wait, tell=lines.tell),
        contextlib.closing(Ledger(folder)) as ledger,
    ):
        collect_journals(folder, ledger)
        _end_leftovers(folder, ledger, distinct)
        batch = _Batch(distinct, folder, ledger, chosen, stop, cluster)
        notices = batch.run_all(lines, report)
        if ledger.notice:
            lines.tell(ledger.notice)
    records = [batch.records[row.name] for row in rows]
    page = folder / "index.html"
    return BatchOutcome(records, page if page.is_file() else None, stop.n_asked > 0, notices)


def count_workers(settings: BatchSettings, cluster: Cluster | None) -> int:
    """Rows at the same time."""
    if cluster is None or settings.workers > 1:
        return max(settings.workers, 1)
    return max(cluster.count_threads(), 1)


class _Batch:
    """State of a batch while it runs."""

    def __init__(
        self,
        rows: Sequence[BatchRow],
        folder: Path,
        ledger: Ledger,
        settings: BatchSettings,
        stop: Stop,
        cluster: Cluster | None = None,
    ) -> None:
        self._rows, self._folder, self._ledger = rows, folder, ledger
        self._settings, self._stop, self._cluster = settings, stop, cluster
        self._queue: queue.SimpleQueue[BatchRow] = queue.SimpleQueue()
        # Workers only put into this queue: one thread alone changes the records and writes the page.
        self._told: queue.SimpleQueue[tuple[int, BatchRow, dict[str, Any] | None]] = queue.SimpleQueue()
        self._page_end, self._page_cost = 0.0, 0.0
        self._html = PageWriter()
        chosen = {row.name for row in rows}
        # Rows of the folder that are not asked for now stay on the page: a batch may be of the failed ones alone.
        states = {name: event for name, event in ledger.read_states().items() if name not in chosen}
        self._others = {name: read_record(event) for name, event in states.items() if (folder / name).is_dir()}
        #: Record of each row as far as it is known.
        self.records: dict[str, dict[str, Any]] = {}
        for row in rows:
            ledger.append(row.name, "queued")
            self.records[row.name] = {"workflow": row.workflow, "status": "queued", "parameters": dict(row.parameters)}
            self._queue.put(row)

    def run_all(self, lines: Lines, report: Report | None) -> list[str]:
        """Run all rows; what could not be written."""
        n_workers = min(count_workers(self._settings, self._cluster), max(len(self._rows), 1))
        jobs = JobRunner(self._folder, self._ledger, self._settings, self._stop)
        # Daemons: an error in `report` must not keep the process waiting for the other rows.
        threads = [threading.Thread(target=self._work, args=(number, jobs), daemon=True) for number in range(n_workers)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            self._tell_all(lines, report)
            self._write_now_and_then()
            time.sleep(_POLL_S if self._told.empty() else 0)
        self._tell_all(lines, report)
        self._wait_for_html(lines)
        return self._write_last()

    def _wait_for_html(self, lines: Lines) -> None:
        """Wait for the pages of notebooks that are still to be written; Ctrl-C ends that."""
        if left := self._html.count_left():
            lines.tell(f"{left} notebooks are still to be written as HTML")
        while self._html.count_left() and not self._stop.is_asked():
            self._write_now_and_then()
            time.sleep(_POLL_S)
        self._html.close()

    def _work(self, number: int, jobs: JobRunner) -> None:
        """One worker: rows from the queue until there are none or the batch is stopped."""
        worker = self._make_worker()
        try:
            while not self._stop.is_asked():
                row = self._queue.get_nowait()
                self._told.put((number, row, None))
                self._told.put((number, row, jobs.run(row, worker)))
        except queue.Empty:
            pass
        finally:
            worker.close()

    def _make_worker(self) -> Worker:
        if self._cluster is not None:
            return ClusterWorker(self._cluster)
        return WorkerProcess(make_environment(self._settings.workers)) if self._settings.workers else LocalWorker()

    def _tell_all(self, lines: Lines, report: Report | None) -> None:
        """Pass on what the workers told."""
        while not self._told.empty():
            number, row, record = self._told.get()
            if record is None:
                self.records[row.name]["status"] = "running"
                lines.start(number, row.name)
                continue
            self.records[row.name] = record
            lines.end(number, row.name, record)
            if self._settings.html:
                self._html.ask(self._folder / row.name)
            if report is not None:
                report(row, record)
        lines.refresh()

    def _all_records(self) -> dict[str, dict[str, Any]]:
        return self.records | self._others

    def _write_now_and_then(self) -> None:
        now = time.monotonic()
        if now - self._page_end < max(_PAGE_S, _PAGE_SHARE * self._page_cost):
            return
        with contextlib.suppress(OSError):  # a full disk: the last page says so
            write_page(self._folder, self._all_records(), title=self._settings.title, running=True)
        self._page_end = time.monotonic()
        self._page_cost = self._page_end - now

    def _write_last(self) -> list[str]:
        """Page and tables of the end; what could not be written."""
        for record in self.records.values():
            # A row that still runs here has no record: the thread of its worker ended by an error.
            record["status"] = "queued" if record["status"] == "running" else record["status"]
        notices = [self._stop.reason] if self._stop.reason else []
        if faults := self._html.faults:
            notices.append(f"{len(faults)} notebooks could not be written as HTML, such as {faults[0]}")
        if not self._ledger.flush():
            notices.append(f"{self._ledger.path} could not be written ({self._ledger.trouble}): rows are run again")
        if self._stop.n_asked > 1:  # at once
            return notices
        try:
            write_page(self._folder, self._all_records(), title=self._settings.title, running=False)
            write_tables(self._folder, self._all_records())
        except OSError as error:
            notices.append(f"the page or the tables in {self._folder} could not be written ({error.strerror or error})")
        return notices


def _end_leftovers(folder: Path, ledger: Ledger, rows: Sequence[BatchRow]) -> None:
    """End processes and half files that a killed batch has left, and tell that their rows are interrupted."""
    for half in folder.glob(".*.part"):
        half.unlink(missing_ok=True)
    for event in close_interrupted(ledger, [row.name for row in rows]):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            record = json.loads((folder / event.row / "run.json").read_text(encoding="utf-8"))
            process = find_process(record.get("owner", {}))
            # A process that goes on would write into the folder in which the row is run again.
            if process is not None and process != os.getpid():
                end_group(process)
