"""Rows of a batch: checked before anything runs, each with a folder of its own."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..parameters import find_notebook
from ..paths import is_path, make_absolute
from ..record import read_versions
from .checking import CheckedEntry, EntryChecker, Group, Shared
from .entries import Source, read_source
from .faults import Fault, ManifestError
from .inputs import find_forgotten_inputs, find_missing_files, list_inputs
from .names import find_folder_fault, fold_name, make_name


@dataclass(frozen=True)
class Job:
    """One run: a workflow and the parameters that differ from its notebook's own."""

    workflow: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def folder_name(self) -> str:
        """Name that changes with the parameters, the notebook's source and the version of phasekit, and only then."""
        version = read_versions().get("phasekit")
        return _name_folder(self.workflow, self.parameters, find_notebook(self.workflow).read_bytes(), version)


@dataclass(frozen=True)
class Row:
    """One run of a batch, checked.

    Parameters
    ----------
    name
        Name of its folder; no other row of the batch has it.
    label
        File name of its input, for people; empty without one.
    workflow
        Name of a workflow, or the absolute path of a notebook.
    parameters
        Values that differ from the notebook's own; paths are absolute.
    folder
        Folder for its results.
    inputs
        Files that it reads: every parameter whose name ends in ``_path`` or ``_paths``, defaults included.
    memory_bytes, time_s
        Limits [bytes], [s]; ``None`` has no limit.
    """

    name: str
    label: str
    workflow: str
    parameters: Mapping[str, Any]
    folder: Path
    inputs: tuple[Path, ...] = ()
    memory_bytes: int | None = None
    time_s: float | None = None


def read_manifest(path: str | os.PathLike[str]) -> list[Job]:
    r"""Read a list of jobs; every job is checked against its notebook.

    Parameters
    ----------
    path
        ``.yaml`` or ``.json``: a list of mappings; ``.csv`` or ``.tsv``: a table with a header. Each has ``workflow``
        or ``notebook``; the other keys are parameters of its notebook (empty cells are left at the default).
        ``reader.region`` is the argument ``region`` in the dict ``reader``. Relative paths count from the folder of the
        manifest.

    Returns
    -------
    list of Job
        In the order of the file.

    Raises
    ------
    ReadError
        The file is not a list of jobs.
    ManifestError
        A job names an unknown workflow, parameter or argument of the opener, or a value has another type or is out of
        its range. The message is a table of all faults.

    See Also
    --------
    plan_batch : Also looks for the files, and gives each row its folder.
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
    source = read_source([path])
    checker = EntryChecker(source, Shared())
    found = checker.check()
    _raise_faults(source, checker.faults)
    return [Job(checked.notebook.workflow, checked.values) for checked in found]


def plan_batch(
    sources: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    output_dir: str | os.PathLike[str],
    *,
    notebook: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    memory: str | None = None,
    time: str | None = None,
) -> list[Row]:
    """Check every row of a manifest, or make one row for each data file; nothing is run and nothing written.

    Parameters
    ----------
    sources
        A manifest, see :func:`read_manifest`, or data files and glob patterns. ``**`` matches folders, too.
    output_dir
        Folder that gets one folder for each row.
    notebook
        Workflow, or path of a notebook, of the rows that name none.
    parameters
        Values that all rows share. What a row gives itself comes before them.
    memory, time
        Limits of the rows that give none: ``4GB``, ``30min``.

    Returns
    -------
    list of Row
        In the order of the manifest, or of the names of the files.

    Raises
    ------
    ReadError
        A manifest cannot be read, or no file matches.
    ManifestError
        Something is wrong with a row. The message is a table of all faults of all rows: unknown names, types, ranges,
        choices, missing files, rows that stand twice, rows with one folder.

    See Also
    --------
    run_manifest : Runs what is listed.

    Examples
    --------
    >>> import phasekit as pk
    >>> rows = plan_batch(pk.samples.path("nmf_grains"), "runs/all", notebook="nmf", parameters={"k_max": 9})
    >>> rows[0].label, rows[0].parameters["k_max"]
    ('nmf_grains.nc', 9)
    """
    listed = [sources] if isinstance(sources, str | os.PathLike) else list(sources)
    groups = (Group("parameters", Path.cwd(), tuple((parameters or {}).items())),)
    return plan_rows(read_source(listed), output_dir, Shared(notebook, groups, memory, time))


def plan_rows(source: Source, output_dir: str | os.PathLike[str], shared: Shared) -> list[Row]:
    """Rows of a source, or the table of their faults."""
    checker = EntryChecker(source, shared)
    found = checker.check()
    base = Path(os.path.abspath(output_dir))
    faulty = {fault.row for fault in checker.faults}
    # A row whose input was refused has none for this reason alone; one fault is enough.
    forgotten = [fault for fault in find_forgotten_inputs(found, base) if fault.row not in faulty]
    faults = [*checker.faults, *find_missing_files(found, source), *forgotten]
    # Rows that lack a refused value may look alike.
    sound = [checked for checked in found if checked.entry.number not in faulty]
    rows = [_make_row(checked, source, base) for checked in sound]
    faults += _find_clashes(sound, rows)
    faults += [
        checked.refuse("name", wrong, "Needs another name, or another folder for the batch.")
        for checked, row in zip(sound, rows, strict=True)
        if (wrong := find_folder_fault(base, row.name))
    ]
    _raise_faults(source, faults)
    return rows


def _raise_faults(source: Source, faults: Sequence[Fault]) -> None:
    if faults:
        raise ManifestError(source.name, faults, len(source.entries))


def _make_row(checked: CheckedEntry, source: Source, base: Path) -> Row:
    """Row of an entry: absolute paths, and a folder that does not move with the manifest."""
    notebook = checked.notebook
    values = make_absolute(notebook.parameters, checked.values)
    # Data beside a manifest are named from there: both can be moved together and keep their folders. Without one they
    # are named from the folder of the batch, for the same reason.
    shorten = _shorten_below(source.folder) if source.is_manifest else _shorten_beside(base)
    told = _write_portable(values, shorten)
    # Of the parameters alone: a changed notebook or version runs the row again in its folder, and says so.
    name = checked.name or _name_folder(shorten(notebook.workflow), told, b"", None)
    return Row(
        name,
        os.path.basename(str(checked.values.get("input_path", "")).rstrip("/")),
        notebook.workflow,
        values,
        base / name,
        tuple(list_inputs(notebook, values)),
        checked.memory_bytes,
        checked.time_s,
    )


def _name_folder(workflow: str, parameters: Mapping[str, Any], source: bytes, version: str | None) -> str:
    """Name of a folder from what decides the result: a changed notebook must not count as already run."""
    settings = json.dumps([workflow, dict(parameters), version], sort_keys=True, default=str)
    # Of 10 000 rows two get the same 10 hexadecimal digits with a probability of 5e-5.
    digest = hashlib.sha256(settings.encode("utf-8", "surrogatepass") + source).hexdigest()[:10]
    return make_name([Path(workflow).stem, Path(str(parameters.get("input_path", ""))).stem], digest)


def _shorten_below(folder: Path) -> Callable[[str], str]:
    """Paths below a folder count from there, with the same separators on every system; others stay."""
    start = os.path.join(os.path.abspath(folder), "")
    return lambda path: path.removeprefix(start).replace(os.sep, "/")


def _shorten_beside(folder: Path) -> Callable[[str], str]:
    """Absolute paths count from a folder, also where they lie beside or above it."""

    def shorten(path: str) -> str:
        try:
            return os.path.relpath(path, folder).replace(os.sep, "/") if os.path.isabs(path) else path
        except ValueError:  # another drive of Windows
            return path

    return shorten


def _write_portable(values: Mapping[str, Any], shorten: Callable[[str], str]) -> dict[str, Any]:
    """Values whose paths are shortened."""

    def write(item: Any) -> Any:
        return shorten(item) if isinstance(item, str) else item

    return {
        name: ([write(item) for item in value] if isinstance(value, list) else write(value)) if is_path(name) else value
        for name, value in values.items()
    }


def _find_clashes(found: Sequence[CheckedEntry], rows: Sequence[Row]) -> Iterator[Fault]:
    """Rows that stand twice, and rows that would write into one folder."""
    first: dict[str, int] = {}
    for number, (checked, row) in enumerate(zip(found, rows, strict=True)):
        # Some file systems take names that differ in case alone for one name.
        other = first.setdefault(fold_name(row.name), number)
        if other == number:
            continue
        before, entry = rows[other], found[other].entry.number
        if (before.workflow, before.parameters) == (row.workflow, row.parameters):
            needed = "Needs each row once: leave one out, or give them names of their own."
            yield checked.refuse("", f"the same row as entry {entry}", needed)
        else:
            same = "the folder" if before.name == row.name else f"the folder '{before.name}', but for case or form,"
            needed = "Needs a name that no other row has."
            yield checked.refuse("name", f"'{row.name}' is {same} of entry {entry}", needed)
