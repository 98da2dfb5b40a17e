"""Rows of a batch are run, and one page shows them all."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from phasekit.errors import ReadError, SchemaError

from ..indexpage import write_index
from ..parameters import find_notebook, notebook_parameters
from ..paths import check_files
from ..record import read_record, write_record
from ..runner import run_notebook
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
        Whether to skip jobs that already ended well with the same parameters, notebook and version.
    report
        Called with each :class:`Row` and its record when it ends.

    Returns
    -------
    list of dict
        Records in the order of the manifest.

    Raises
    ------
    ReadError, SchemaError
        The manifest is wrong; nothing was run. The message is a table of all faults.

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
    title = f"phasekit: {Path(path).name}"
    return run_rows(rows, output_dir, title=title, workers=workers, resume=resume, report=report)


def run_rows(
    rows: Sequence[Row],
    output_dir: str | os.PathLike[str],
    *,
    title: str,
    workers: int = 1,
    resume: bool = True,
    report: Report | None = None,
) -> list[dict[str, Any]]:
    """Records of checked rows, in their order; a row that fails does not stop the others."""
    base = Path(output_dir)
    base.mkdir(parents=True, exist_ok=True)
    if workers > 1:
        # Kernels inherit the environment: without this each would start a thread per core.
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ.setdefault(name, "1")

    def run_row(row: Row) -> dict[str, Any]:
        record = _find_finished(row.folder) if resume else None
        if record is None:
            record = _run_isolated(row)
        if report is not None:
            report(row, record)
        return record

    # Threads suffice: the work is done by the kernels, which are processes.
    with ThreadPoolExecutor(max_workers=workers) as pool:
        records = list(pool.map(run_row, rows))
    if records:
        write_index(base, title=title)
    return records


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


def _run_isolated(row: Row) -> dict[str, Any]:
    """Record of one run; whatever goes wrong in it is written there, not raised."""
    try:
        check_files(notebook_parameters(find_notebook(row.workflow)), row.parameters)
        return run_notebook(row.workflow, row.folder, parameters=row.parameters)
    except Exception as error:  # one row must not stop the others
        record = {"workflow": row.workflow, "status": "failed", "error": f"{type(error).__name__}: {error}"}
        row.folder.mkdir(parents=True, exist_ok=True)
        write_record(row.folder, record)
        return record


def _find_finished(folder: Path) -> dict[str, Any] | None:
    """Record of a run that ended well, or ``None``."""
    try:
        record = read_record(folder)
    except ReadError:  # never run, or its record is damaged: run it again
        return None
    return record if record.get("status") == "ok" else None
