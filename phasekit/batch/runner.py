"""One notebook on one dataset, without a screen, by papermill."""

import contextlib
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phasekit.code_cache import is_writable, temporary_folder
from phasekit.errors import PhasekitError, ReadError, SchemaError

from .cells import EXERCISE, SOLUTION, drop_cells
from .executed import read_executed, write_page, write_traceback
from .kernel import get_manager, import_notebook_format
from .parameters import find_notebook, notebook_parameters
from .paths import make_absolute
from .record import format_now, read_versions, write_record
from .settings import check_names, check_values
from .workers.isolation import describe_process

RESULT = "result.nc"
EXECUTED = "notebook.ipynb"
PAGE = "notebook.html"
RESULT_PAGE = "page.html"
TRACEBACK = "traceback.txt"


def run_notebook(
    workflow: str,
    output_dir: str | os.PathLike[str],
    *,
    parameters: Mapping[str, Any] | None = None,
    progress: bool = False,
    cell_timeout_s: float | None = None,
    html: bool = True,
) -> dict[str, Any]:
    """Run a workflow's notebook without a screen and keep everything it makes in one folder.

    The folder then holds ``notebook.ipynb`` (executed), ``notebook.html``, ``result.nc``, ``figure_*.png`` and
    ``run.json``. A run succeeds when no cell raised and the last cell wrote the result file. The executed notebook
    alone does not tell: it looks complete even when its kernel was killed. The kernel works in the folder of the
    notebook, as in JupyterLab. The directory of this process stays, so several runs may go on in threads.

    Parameters
    ----------
    workflow
        Name of a workflow (``phasekit.workflows``), ``start``, or the path of a notebook.
    output_dir
        Folder to write to; results of an earlier run in it are removed first.
    parameters
        Values that differ from the notebook's own. ``interactive`` and ``output_dir`` are set here. Relative paths
        (names that end in ``_path``, ``_paths`` or ``_dir``) are taken from the current directory. A glob pattern in
        ``_paths`` becomes the list of its files. The keys of ``reader`` are arguments of the opener that the notebook
        calls.
    progress
        Whether to show a bar of the cells.
    cell_timeout_s
        Longest time for one cell [s]; ``None`` has no limit.
    html
        Whether to write ``notebook.html``, which takes about a second.

    Returns
    -------
    dict
        The record, as in ``run.json``; ``status`` is ``ok`` or ``failed``, and then ``error`` says why.

    Raises
    ------
    SchemaError
        The notebook has no such parameter, a value has another type than the notebook states, or a path holds letters
        that the system's encoding cannot read.
    ReadError
        There is no such notebook.

    See Also
    --------
    run_manifest : Many runs.
    read_record : The record of an earlier run.

    Examples
    --------
    >>> run_notebook("stxm", "runs/never", parameters={"treshold": 1})
    Traceback (most recent call last):
    ...
    phasekit.errors.SchemaError: parameters: 'treshold' is unknown, needs one of ...
    """
    notebook = find_notebook(workflow).resolve()
    declared = notebook_parameters(notebook)
    given = {name: _make_plain(value) for name, value in (parameters or {}).items()}
    check_names(declared, list(given))
    check_values(declared, given)
    settings = make_absolute(declared, given)
    folder = Path(output_dir).resolve()
    check_text({**settings, "output_dir": str(folder), "notebook": str(notebook)})
    headless = {"interactive": False, "output_dir": str(folder)}
    settings.update({name: value for name, value in headless.items() if name in declared})
    folder.mkdir(parents=True, exist_ok=True)
    # An old result must not be taken for that of a run that fails now.
    files = (RESULT, RESULT_PAGE, EXECUTED, PAGE, TRACEBACK)
    half = (path for pattern in (".*.part", ".*.tmp") for path in folder.glob(pattern) if path.is_file())
    for old in (*folder.glob("figure_*.png"), *(folder / name for name in files), *half):
        old.unlink(missing_ok=True)
    values = {name: parameter.default for name, parameter in declared.items()} | settings
    record: dict[str, Any] = {"workflow": workflow, "notebook": notebook.name, "status": "running", "error": None}
    record |= {"parameters": values, "versions": read_versions(), "started": format_now(), "owner": describe_process()}
    # Written before the run, so that a killed process leaves a record that says "running".
    write_record(folder, record)
    start = time.perf_counter()
    error = _execute_notebook(notebook, folder, settings, progress=progress, cell_timeout_s=cell_timeout_s)
    record |= {
        "seconds": round(time.perf_counter() - start, 2),
        **_read_outcome(folder, error, needs_result="output_dir" in declared, html=html),
    }
    # The start page has no result and no numbers.
    if record["status"] == "ok" and (folder / RESULT).is_file():
        record |= _read_numbers(folder, notebook.parent / str(values.get("input_path", "")))
    write_record(folder, record)
    return record


def run_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Run one row of a batch in this process; whatever goes wrong is in the record, and nothing is raised.

    ``row`` has ``workflow``, ``folder`` and ``parameters``, and ``is_locked`` where its lock is held already. The
    record has ``results`` besides: the hash of each result file. HTML is not written here: a worker would wait for it.
    """
    from .ledger.lock import lock_row

    if row.get("is_locked"):
        return _run_locked(row)
    try:
        with lock_row(row["folder"]):
            return _run_locked(row)
    except ReadError as error:  # nothing is written into a folder that another process writes into
        return make_failure(row, str(error))
    except OSError as error:
        return describe_failure(row, f"{type(error).__name__}: {error}")


def _run_locked(row: Mapping[str, Any]) -> dict[str, Any]:
    from .ledger.hashes import compute_hash
    from .page.thumbnails import write_thumbnail

    folder = Path(row["folder"])
    try:
        record = run_notebook(row["workflow"], folder, parameters=row["parameters"], html=False)
        made = (folder / RESULT, folder / RESULT_PAGE) if record["status"] == "ok" else ()
        results = [path for path in made if path.is_file()]
        record["results"] = {path.name: compute_hash(path) for path in results}
    except Exception as error:  # a full disk, a folder that cannot be written: the outcome of this row
        return describe_failure(row, f"{type(error).__name__}: {error}")
    # For the page only: a picture that cannot be made is left out.
    with contextlib.suppress(Exception):
        write_thumbnail(folder, record["figures"])
    return record


def make_failure(row: Mapping[str, Any], error: str) -> dict[str, Any]:
    """Record of a row that failed outside its notebook."""
    record = {"workflow": row["workflow"], "status": "failed", "error": error, "started": format_now(), "seconds": 0.0}
    return record | {"parameters": dict(row["parameters"]), "versions": read_versions(), "figures": [], "numbers": {}}


def describe_failure(row: Mapping[str, Any], error: str) -> dict[str, Any]:
    """Record of a row that failed outside its notebook; it is written where that is possible."""
    record = make_failure(row, error)
    with contextlib.suppress(OSError):
        Path(row["folder"]).mkdir(parents=True, exist_ok=True)
        write_record(row["folder"], record)
    return record


def check_text(values: Mapping[str, Any]) -> None:
    """Refuse what no notebook file can hold: names that the system's encoding could not decode."""
    for name, item in [(name, item) for name, value in values.items() for item in _list_texts(value)]:
        try:
            item.encode("utf-8")
        except UnicodeEncodeError:
            escaped = item.encode("ascii", "backslashreplace").decode()
            raise SchemaError(
                f"run_notebook: {name} = '{escaped}' holds letters that this system's encoding "
                f"({sys.getfilesystemencoding()}) cannot read. Set PYTHONUTF8=1 in the environment, or a UTF-8 locale."
            ) from None


def _list_texts(value: Any) -> list[str]:
    """Texts in a value, also those inside lists and dicts."""
    if isinstance(value, dict):
        return [text for pair in value.items() for item in pair for text in _list_texts(item)]
    if isinstance(value, list | tuple):
        return [text for item in value for text in _list_texts(item)]
    return [str(value)]


def _make_plain(value: Any) -> Any:
    """Value as papermill can write it: paths as texts, arrays and NumPy's numbers as lists and numbers."""
    if isinstance(value, dict):
        return {key: _make_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_make_plain(item) for item in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value.tolist() if hasattr(value, "tolist") else value


def _execute_notebook(
    notebook: Path, folder: Path, parameters: Mapping[str, Any], *, progress: bool, cell_timeout_s: float | None
) -> str | None:
    """Run the notebook; the error in one line, or ``None``."""
    import_notebook_format()
    import nbformat
    import papermill
    from jupyter_core.utils import ensure_event_loop
    from papermill.exceptions import PapermillExecutionError
    from traitlets.config import Config

    from .kernel import silence_papermill

    silence_papermill()
    _ensure_ipython_folder()
    loop = ensure_event_loop()  # the one that nbclient takes in this thread; nobody else would close it
    try:
        papermill.execute_notebook(
            # Exercises are for readers: a run neither waits for their solutions nor shows unanswered questions.
            drop_cells(nbformat.read(notebook, as_version=4), EXERCISE, SOLUTION),  # type: ignore[no-untyped-call]
            str(folder / EXECUTED).replace("{", "{{").replace("}", "}}"),  # papermill fills braces in paths
            parameters=dict(parameters),
            kernel_name="python3",
            language="python",  # notebooks are stored without a kernel
            progress_bar=progress,
            start_timeout=180,  # kernels start slowly on a busy machine or a network's file system
            execution_timeout=cell_timeout_s,
            resources={"metadata": {"path": str(notebook.parent)}},
            kernel_manager_class=get_manager(),
            shutdown_kernel=get_manager().ending,
            config=Config({"KernelManager": {"transport_encryption": "auto"}}),
        )
    except PapermillExecutionError as error:
        return f"cell {error.exec_count}: {error.ename}: {error.evalue}"
    except Exception as error:  # a killed kernel, a time-out, a full disk: each is this run's outcome
        return f"{type(error).__name__}: {error}".splitlines()[0]
    finally:
        if not loop.is_running():
            loop.close()
    return None


def _ensure_ipython_folder() -> None:
    """Set a temporary folder for IPython's settings where the home folder cannot be written, for the kernels too."""
    # A kernel needs a folder for its settings; in a container with a read-only home there is none.
    folder = Path(os.path.expanduser("~")) / ".ipython"
    if not os.environ.get("IPYTHONDIR") and not is_writable(folder):
        os.environ["IPYTHONDIR"] = str(temporary_folder("phasekit-ipython-"))


def _read_outcome(folder: Path, error: str | None, *, needs_result: bool, html: bool) -> dict[str, Any]:
    """Outcome of a run, from its error and its files."""
    page: dict[str, Any] = {"title": folder.name, "cells": []}
    if (folder / EXECUTED).is_file():
        try:
            page, notebook = read_executed(folder / EXECUTED)
            if html:
                write_page(notebook, page["title"], folder / PAGE)
            write_traceback(notebook, folder / TRACEBACK)
        except Exception as problem:  # a notebook that a full disk cut short cannot be shown
            error = error or f"{EXECUTED} cannot be read: {type(problem).__name__}: {problem}".splitlines()[0]
    if error is None and needs_result and not (folder / RESULT).is_file():
        error = f"the notebook ended without writing {RESULT}"
    figures = [{"file": path.name, "alt": _read_alt_text(path)} for path in sorted(folder.glob("figure_*.png"))]
    return {"status": "ok" if error is None else "failed", "error": error, **page, "figures": figures, "numbers": {}}


def _read_numbers(folder: Path, source: Path) -> dict[str, Any]:
    """Key numbers of the result; a result that cannot be read makes the run a failure."""
    from .numbers import key_numbers

    try:
        return {"numbers": key_numbers(folder / RESULT, source)}
    except PhasekitError as problem:
        return {"status": "failed", "error": f"{RESULT} cannot be read: {problem}"}


def _read_alt_text(path: Path) -> str:
    """Alt text that ``save_figure`` wrote into a PNG file."""
    from PIL import Image

    with Image.open(path) as png:
        return str(png.info.get("Description", ""))
