"""Runs on many datasets, from a list of jobs in a file.

Each job has its own folder. Jobs that already ended well are not run again.
"""

import csv
import hashlib
import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phasekit.errors import ReadError, SchemaError

from .parameters import find_notebook, notebook_parameters
from .paths import join_paths
from .record import read_versions
from .rows.row import BatchInterrupted, BatchRow, BatchSettings
from .rows.schedule import run_batch
from .settings import convert_settings


@dataclass(frozen=True)
class Job:
    """One run: a workflow and the parameters that differ from its notebook's own."""

    workflow: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def folder_name(self) -> str:
        """Name that changes with the parameters, the notebook's source and the version of phasekit, and only then."""
        # What decides the result decides the folder: a changed notebook must not count as already run.
        source = find_notebook(self.workflow).read_bytes()
        settings = json.dumps(
            [self.workflow, dict(self.parameters), read_versions().get("phasekit")], sort_keys=True, default=str
        )
        digest = hashlib.sha256(settings.encode() + source).hexdigest()[:10]
        stem = Path(str(self.parameters.get("input_path", ""))).stem
        return "-".join(part for part in (Path(self.workflow).stem, stem, digest) if part)


def read_manifest(path: str | os.PathLike[str]) -> list[Job]:
    r"""Read a list of jobs; every job is checked against its notebook before the first one runs.

    Parameters
    ----------
    path
        ``.yaml`` or ``.json``: a list of mappings; ``.csv``: a table with a header. Each has ``workflow``; the other
        keys are parameters of its notebook (empty cells are left at the default). ``reader.region`` is the argument
        ``region`` in the dict ``reader``. Relative paths count from the folder of the manifest.

    Returns
    -------
    list of Job
        In the order of the file.

    Raises
    ------
    ReadError
        The file is not a list of jobs.
    SchemaError
        A job names an unknown workflow, parameter or argument of the opener, or a value has another type.

    See Also
    --------
    run_manifest : Runs what is listed.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "jobs.csv"
    ...     _ = path.write_text("workflow,seed\nnmf,1\nnmf,2\n")
    ...     [job.parameters for job in read_manifest(path)]
    [{'seed': 1}, {'seed': 2}]
    """
    file = Path(path)
    jobs = []
    for number, row in enumerate(_read_rows(file), start=1):
        if not isinstance(row, dict) or "workflow" not in row:
            raise ReadError(file, found=f"an entry {number} without 'workflow'", cure="write workflow and parameters")
        workflow = str(row.pop("workflow"))
        # Every entry is checked here: a wrong name in the last line must not show after hours of runs.
        try:
            jobs.append(Job(workflow, _check_job(workflow, row, file.parent)))
        except SchemaError as error:
            raise SchemaError(f"{file}, entry {number}: {error}") from error
    return jobs


def run_manifest(
    path: str | os.PathLike[str],
    output_dir: str | os.PathLike[str],
    *,
    workers: int = 1,
    resume: bool = True,
    report: Callable[[Job, dict[str, Any]], None] | None = None,
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
        Called with each job and its record when it ends.

    Returns
    -------
    list of dict
        Records in the order of the manifest.

    Raises
    ------
    ReadError, SchemaError
        The manifest is wrong; nothing was run.

    See Also
    --------
    read_manifest : What a manifest may hold.
    run_notebook : One run.

    Examples
    --------
    >>> run_manifest("no_such_manifest.yaml", "runs/never")
    Traceback (most recent call last):
    ...
    phasekit.errors.ReadError: no_such_manifest.yaml: found no readable text file. To fix it: ...
    """
    jobs = read_manifest(path)
    rows = [BatchRow(job.folder_name(), job.workflow, job.parameters) for job in jobs]
    settings = BatchSettings(workers=workers, resume=resume, title=f"phasekit: {Path(path).name}")
    names = {row.name: job for row, job in zip(rows, jobs, strict=True)}
    told = None if report is None else lambda row, record: report(names[row.name], record)
    outcome = run_batch(rows, output_dir, settings, report=told)
    if outcome.interrupted:
        raise BatchInterrupted(outcome)
    return list(outcome.records)


def _read_rows(file: Path) -> Sequence[Any]:
    """Entries of a manifest, as mappings where the file is right."""
    try:
        text = file.read_text(encoding="utf-8-sig")  # spreadsheets write a byte order mark
    except (OSError, UnicodeDecodeError) as error:
        raise ReadError(file, found="no readable text file", cure="give a .yaml, .json or .csv file") from error
    # YAML and JSON keep types and lists; a table is what most people have already.
    if file.suffix.lower() == ".csv":
        return _read_table(file, text)
    import yaml

    try:
        rows = yaml.safe_load(text)  # JSON is YAML
    except yaml.YAMLError as error:
        raise ReadError(
            file,
            found=f"text that is not YAML ({error})",
            cure="indent with spaces, two per level, and quote texts that hold a colon",
        ) from error
    if not isinstance(rows, list):
        raise ReadError(file, found=f"a {type(rows).__name__}", cure="write a list of jobs, each starting with '- '")
    return rows


def _read_table(file: Path, text: str) -> list[dict[str, str]]:
    """Rows of a table, whose cells are separated by commas or, as spreadsheets of some countries do, semicolons."""
    head = text.partition("\n")[0]
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=";" if "," not in head and ";" in head else ","))
    names = [name.strip() for name in rows[0]] if rows else []
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ReadError(file, found=f"the column(s) {', '.join(twice)} twice", cure="write several values in one cell")
    for number, row in enumerate(rows[1:], start=1):
        if len(row) > len(names):
            found = f"an entry {number} of {len(row)} cells under {len(names)} names"
            raise ReadError(file, found=found, cure='quote a cell that holds a comma, "a.csv,b.csv"')
    return [dict(zip(names, row, strict=False)) for row in rows[1:] if any(row)]


def _check_job(workflow: str, row: Mapping[str, Any], base: Path) -> dict[str, Any]:
    """Parameters of a job: known to the notebook, typed, paths relative to the manifest."""
    declared = notebook_parameters(find_notebook(workflow))
    if "output_dir" in row:
        raise SchemaError("output_dir is set by the folder of the batch (--out). Leave it out.")
    # CSV and quoted YAML give texts, which get the type of the notebook; other values must have theirs already.
    pairs = [(name, value) for name, value in row.items() if value not in ("", None)]
    # A manifest and its data can then be moved together.
    return join_paths(convert_settings(declared, pairs, folder=base), base)
