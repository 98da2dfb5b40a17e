"""The record of a run, ``run.json``: notebook, parameters, versions, times and outcome."""

import functools
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from phasekit.errors import ReadError

from .workers.isolation import is_gone

RECORD = "run.json"
#: Packages that the numbers or the figures depend on.
PACKAGES = ("phasekit", "numpy", "scipy", "xarray", "dask", "torch", "scikit-learn", "numba", "orix", "panel", "bokeh")


def read_record(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the record of the run in a folder.

    Parameters
    ----------
    folder
        Folder that :func:`run_notebook` wrote to.

    Returns
    -------
    dict
        ``status`` (``running``, ``ok``, ``failed``, or ``interrupted`` where its process ended before the run),
        ``error``, ``workflow``, ``parameters``, ``versions``, ``started`` (UTC), ``seconds``, ``cells``, ``figures``,
        ``numbers``.

    Raises
    ------
    ReadError
        There is no record, or it is damaged.

    See Also
    --------
    run_notebook : Writes the record.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_record(folder, {"status": "ok"})
    ...     read_record(folder)
    {'status': 'ok'}
    """
    path = Path(folder) / RECORD
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ReadError(path, found="no file", cure="run the notebook with `phasekit run`") from error
    except ValueError as error:
        raise ReadError(path, found="text that is not JSON", cure="run the notebook again") from error
    if record.get("status") == "running" and is_gone(record.get("owner", {})):
        record |= {"status": "interrupted", "error": "its process ended before the run"}
    return dict(record)


def write_record(folder: str | os.PathLike[str], record: Mapping[str, Any]) -> None:
    """Write the record under a temporary name and rename it, so that a reader never finds half of one."""
    path = Path(folder) / RECORD
    # The process number keeps two runs into one folder apart.
    partial = path.with_name(f".{RECORD}.{os.getpid()}.part")
    partial.write_text(json.dumps(record, indent=1, default=str), encoding="utf-8")
    os.replace(partial, path)


@functools.cache
def _read_version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def read_versions() -> dict[str, str]:
    """Versions of phasekit and of the packages its numbers depend on; those that are not installed are left out.

    Examples
    --------
    >>> "numpy" in read_versions()
    True
    """
    found = {package: _read_version(package) for package in PACKAGES}
    return {package: number for package, number in found.items() if number is not None}


def environment() -> dict[str, str]:
    """Environment of this session, on which its numbers depend: Python, processor cores, BLAS threads, versions.

    Returns
    -------
    dict of str to str
        Ready to be shown as a table.

    See Also
    --------
    read_record : The versions of an earlier run.

    Examples
    --------
    >>> list(environment())[:3]
    ['python', 'cores', 'BLAS threads']
    """
    import platform

    import numpy as np
    from threadpoolctl import threadpool_info

    np.dot(np.eye(2), np.eye(2))  # BLAS is loaded now, so its threads can be asked for
    threads = sorted({str(pool["num_threads"]) for pool in threadpool_info()})
    machine = {"python": platform.python_version(), "cores": str(os.cpu_count()), "BLAS threads": ", ".join(threads)}
    return machine | read_versions()


def format_now() -> str:
    """Time now, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
