"""Rows of a batch are run, and one page shows them all."""

import os
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from phasekit.errors import ReadError, SchemaError

from ..record import read_record
from ..rows.row import BatchInterrupted, BatchOutcome, BatchRow, BatchSettings
from ..rows.schedule import run_batch
from .rows import Row, plan_batch

Report = Callable[[Row, dict[str, Any]], None]


def run_manifest(
    path: str | os.PathLike[str],
    output_dir: str | os.PathLike[str],
    *,
    workers: int = 1,
    resume: bool = True,
    report: Report | None = None,
) -> list[dict[str, Any]]:
    """Run every job of a manifest and write one index page; a job that fails does not stop the others.

    Parameters
    ----------
    path
        Manifest, see :func:`read_manifest`.
    output_dir
        Folder that gets one folder per job and ``index.html``.
    workers
        Jobs at the same time, each with its own kernel. With more than one, each kernel gets one BLAS thread.
    resume
        Whether to leave alone what is done: same parameters, inputs, notebook and versions, and the result as it was.
    report
        Called with each :class:`Row` and its record when it ends.

    Returns
    -------
    list of dict
        Records in the order of the manifest.

    Raises
    ------
    ReadError, SchemaError
        The manifest is wrong, or another batch runs in this folder; nothing was run. The message is a table of all
        faults.

    See Also
    --------
    read_manifest : What a manifest may hold.
    plan_batch : The checked rows.
    run_notebook : One run.

    Examples
    --------
    >>> run_manifest("no_such_manifest.yaml", "runs/never")
    Traceback (most recent call last):
    ...
    phasekit.errors.ReadError: no_such_manifest.yaml: found no readable text file. To fix it: ...
    """
    rows = plan_batch(path, output_dir)
    settings = BatchSettings(workers=workers, resume=resume, title=f"phasekit: {Path(path).name}")
    outcome = run_rows(rows, output_dir, settings, report=report)
    # A list of records alone would look like that of a batch which came to its end.
    if outcome.interrupted:
        raise BatchInterrupted(outcome)
    return list(outcome.records)


def run_rows(
    rows: Sequence[Row],
    output_dir: str | os.PathLike[str],
    settings: BatchSettings | None = None,
    *,
    report: Report | None = None,
    progress: bool = False,
) -> BatchOutcome:
    """Run checked rows; a row that fails does not stop the others."""
    named = {row.name: row for row in rows}
    told = None if report is None else lambda row, record: report(named[row.name], record)
    return run_batch(make_batch_rows(rows), output_dir, settings, report=told, progress=progress)


def make_batch_rows(rows: Sequence[Row]) -> list[BatchRow]:
    """Checked rows in the form in which they are run."""
    return [
        BatchRow(
            row.name,
            row.workflow,
            row.parameters,
            # The check of the rows has found them already.
            inputs=tuple(map(str, row.inputs)),
            memory_gb=None if row.memory_bytes is None else row.memory_bytes / 1e9,
            time_s=row.time_s,
        )
        for row in rows
    ]


def select_rows(rows: Sequence[Row], *, only: str | None = None, limit: int | None = None) -> list[Row]:
    """Some of the rows: ``failed`` ones or those whose name matches a pattern, and of these the first ones.

    Parameters
    ----------
    rows
        Checked rows.
    only
        ``failed``: rows that were begun and did not end well. Else a glob pattern for the name of the row or of its
        input. ``None`` takes all.
    limit
        Largest number of rows; ``None`` has no limit.

    Raises
    ------
    SchemaError
        The pattern matches no row.
    """
    chosen = list(rows)
    if only == "failed":
        # Interrupted and damaged rows, too. That no row failed is no error, unlike a pattern without a match.
        chosen = [row for row in rows if read_status(row) not in ("ok", "new")]
    elif only is not None:
        chosen = [row for row in rows if any(fnmatchcase(word, only) for word in (row.name, row.label))]
        if not chosen:
            names = ", ".join(row.label or row.name for row in rows[:3])
            cure = "Write * for any letters, or failed."
            raise SchemaError(f"--only {only}: matches none of {len(rows)} rows, such as {names}. {cure}")
    return chosen if limit is None else chosen[:limit]


def describe_row(row: Row) -> str:
    """Lines about a row, for a look before a run: how its last run ended, its folder, and what it gives."""
    limits = [f"memory {row.memory_bytes / 1e9:g} GB"] if row.memory_bytes else []
    limits += [f"time {row.time_s:g} s"] if row.time_s else []
    values = [f"{name}={value!r}" for name, value in row.parameters.items()]
    head = f"{read_status(row):7} {row.label or row.name}  {row.workflow} -> {row.folder}"
    return "\n".join([head, *(f"          {line}" for line in values + limits)])


def read_status(row: Row) -> str:
    """How the last run of a row ended: ``new`` where there was none, ``damaged`` where its record cannot be read."""
    try:
        return str(read_record(row.folder).get("status", "damaged"))
    except ReadError as error:
        return "new" if error.found == "no file" else "damaged"
