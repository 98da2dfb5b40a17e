"""Runs on many datasets, from a list of jobs in a file.

Each job has its own folder. Jobs that already ended well are not run again.
"""

import csv
import hashlib
import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phasekit.errors import ReadError, SchemaError

from .indexpage import write_index
from .parameters import find_notebook, notebook_parameters
from .paths import check_files, join_paths
from .record import read_record, read_versions, write_record
from .runner import run_notebook
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
    base = Path(output_dir)
    base.mkdir(parents=True, exist_ok=True)
    if workers > 1:
        # Kernels inherit the environment: without this each would start a thread per core.
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ.setdefault(name, "1")

    def run_job(job: Job) -> dict[str, Any]:
        folder = base / job.folder_name()
        record = _find_finished(folder) if resume else None
        if record is None:
            record = _run_isolated(job, folder)
        if report is not None:
            report(job, record)
        return record

    # Threads suffice: the work is done by the kernels, which are processes.
    with ThreadPoolExecutor(max_workers=workers) as pool:
        records = list(pool.map(run_job, jobs))
    if records:
        write_index(base, title=f"phasekit: {Path(path).name}")
    return records


def _run_isolated(job: Job, folder: Path) -> dict[str, Any]:
    """Record of one run; whatever goes wrong in it is written there, not raised."""
    try:
        check_files(notebook_parameters(find_notebook(job.workflow)), job.parameters)
        return run_notebook(job.workflow, folder, parameters=job.parameters)
    except Exception as error:  # one job must not stop the others
        record = {"workflow": job.workflow, "status": "failed", "error": f"{type(error).__name__}: {error}"}
        folder.mkdir(parents=True, exist_ok=True)
        write_record(folder, record)
        return record


def _find_finished(folder: Path) -> dict[str, Any] | None:
    """Record of a run that ended well, or ``None``."""
    try:
        record = read_record(folder)
    except ReadError:  # never run, or its record is damaged: run it again
        return None
    return record if record.get("status") == "ok" else None


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
