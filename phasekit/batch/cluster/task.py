"""One task of a SLURM array: it runs one row where it is not done, and tells the journal of the row."""

import contextlib
from pathlib import Path
from typing import Any

from phasekit.errors import SchemaError

from ..ledger.lock import lock_row
from ..rows.job import JobRunner
from ..rows.row import BatchRow
from ..workers.pages import PAGE, write_html
from ..workers.pool import WorkerProcess, make_environment
from ..workers.stop import Stop, catch_signals
from .journal import RowJournal
from .plan import Plan, read_plan


def run_task(folder: Path, word: str) -> tuple[BatchRow, dict[str, Any]]:
    """Run the row of a task, ``PLAN:NUMBER``; the row and its record.

    Raises
    ------
    SchemaError
        The plan was written again since the task was submitted, or it has no such row.
    ReadError
        There is no plan, or another process runs this row.
    """
    plan = read_plan(folder)
    row = _find_row(plan, word)
    stop = Stop()
    with catch_signals(stop), lock_row(folder / row.name):
        journal = RowJournal(folder / row.name)
        jobs = JobRunner(folder, journal, plan.settings, stop, is_locked=True)
        with contextlib.closing(WorkerProcess(make_environment(1))) as worker:
            record = jobs.run(row, worker)
        if plan.settings.html and not (folder / row.name / PAGE).is_file():
            write_html(folder / row.name)
    if journal.trouble:
        record |= {"status": "failed", "error": f"{journal.path} could not be written ({journal.trouble})"}
    return row, record


def _find_row(plan: Plan, word: str) -> BatchRow:
    name, _, number = word.partition(":")
    if name != plan.name:
        cure = "Submit the new slurm_submit.sh."
        raise SchemaError(f"--slurm-task {word}: the rows were written again since it was submitted. {cure}")
    if not number.isdecimal() or int(number) >= len(plan.rows):
        raise SchemaError(f"--slurm-task {word}: needs a number from 0 to {len(plan.rows) - 1} behind the colon.")
    return plan.rows[int(number)]
