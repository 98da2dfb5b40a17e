"""Begin and end of a SLURM array: rows and scripts are written, journals are collected, the page is written."""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from phasekit.errors import ReadError

from ..ledger.events import Ledger
from ..ledger.lock import is_row_locked, lock_folder
from ..page.numbers import write_tables
from ..page.table import write_page
from ..rows.job import read_record
from ..rows.row import BatchOutcome, BatchRow, BatchSettings, select_distinct
from .journal import RowJournal, collect_journals
from .plan import PLAN, read_plan, write_plan
from .script import check_options, write_scripts


def prepare_array(
    rows: Sequence[BatchRow],
    output_dir: str | os.PathLike[str],
    settings: BatchSettings,
    *,
    at_once: int | None = None,
    options: Sequence[str] = (),
) -> Path:
    """Write the rows of a SLURM array and its scripts into the folder of a batch; the script that submits them.

    What the ledger knows of a row goes into its journal, so that a task leaves a row alone that is done.

    Raises
    ------
    SchemaError
        Two different rows have one name, a name lies outside the folder, or an option of ``sbatch`` is none.
    ReadError
        A batch runs in this folder, or it cannot be written.
    """
    folder = Path(output_dir)
    distinct = select_distinct(rows, folder)
    check_options(options)
    with lock_folder(folder), contextlib.closing(Ledger(folder)) as ledger:
        # Tasks of an earlier array may have told more since the last collection.
        collect_journals(folder, ledger)
        states = ledger.read_states()
        for row in distinct:
            if row.name in states:
                RowJournal(folder / row.name).copy_state(states[row.name])
        plan = write_plan(folder, distinct, settings)
        return write_scripts(folder, plan, at_once=at_once, options=options)[-1]


def collect_array(output_dir: str | os.PathLike[str]) -> BatchOutcome:
    """Bring what the tasks told into the ledger, and write the page and the tables of all rows.

    It may be repeated while tasks run: their rows are then ``running``.

    Raises
    ------
    ReadError
        There is no such folder or no plan in it, or a batch runs in it.
    """
    folder = Path(output_dir)
    if not (folder / PLAN).is_file():
        raise ReadError(folder, found=f"no {PLAN}", cure="give --out the folder for which --slurm wrote the scripts")
    plan = read_plan(folder)
    with lock_folder(folder), contextlib.closing(Ledger(folder)) as ledger:
        collect_journals(folder, ledger)
        names = [row.name for row in plan.rows]
        # A task that SLURM killed could not tell its end; the lock of its row is free.
        _close_rows(folder, ledger)
        states = ledger.read_states()
        records: dict[str, dict[str, Any]] = {row.name: _describe_queued(row) for row in plan.rows}
        # Rows of earlier plans stay on the page while their folders are there.
        records |= {name: read_record(event) for name, event in states.items() if (folder / name).is_dir()}
        running = [name for name, event in states.items() if event.kind == "started"]
        for name in running:
            records[name] |= {"status": "running", "error": None}
        notices = [] if ledger.flush() else [f"{ledger.path} could not be written ({ledger.trouble})"]
        page = write_page(folder, records, title=plan.settings.title, running=bool(running))
        write_tables(folder, records)
    return BatchOutcome([records[name] for name in names], page, notices=notices)


def _close_rows(folder: Path, ledger: Ledger) -> None:
    """Tell that rows are interrupted whose task ended before they did."""
    for name, event in ledger.read_states().items():
        if event.kind == "started" and not is_row_locked(folder / name):
            ledger.append(name, "interrupted", "its task ended before it did")


def _describe_queued(row: BatchRow) -> dict[str, Any]:
    return {"workflow": row.workflow, "status": "queued", "parameters": dict(row.parameters)}
