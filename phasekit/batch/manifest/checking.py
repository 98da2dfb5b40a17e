"""Each entry of a batch beside the notebook that it names: parameters typed, in range, paths joined."""

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from phasekit.errors import PhasekitError, ReadError

from ..conditions import suggest_name
from ..parameters import WORKFLOWS, Parameter, ParameterError, find_notebook, notebook_parameters
from ..paths import join_paths
from ..settings import collect_settings, find_unmet_conditions, find_wrong_types
from .entries import Entry, Source
from .faults import Fault
from .limits import MEMORY_FORM, TIME_FORM, parse_memory, parse_time
from .names import find_name_fault, normalise_name

#: Columns of the batch itself.
_NAME, _MEMORY, _TIME = "name", "memory", "time"
_NOTEBOOK = ("workflow", "notebook")


class Group(NamedTuple):
    """Parameters that all rows share."""

    place: str  # "--set", or the file
    folder: Path  # relative paths count from here
    pairs: tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Shared:
    """What all rows share, where a row does not give it itself; later groups come before earlier ones."""

    notebook: str | None = None
    groups: tuple[Group, ...] = ()
    memory: str | None = None
    time: str | None = None


class Notebook(NamedTuple):
    """A notebook and what it declares."""

    workflow: str  # name, or absolute path
    path: Path
    parameters: Mapping[str, Parameter]
    source: bytes


class CheckedEntry(NamedTuple):
    """An entry whose values have the types of its notebook; those that were refused are left out."""

    entry: Entry
    notebook: Notebook
    values: dict[str, Any]  # relative paths joined to the folder that they count from
    name: str  # empty: none is given
    memory_bytes: int | None
    time_s: float | None

    @property
    def file(self) -> str:
        """What tells the row to a person: its input, else its name."""
        return os.path.basename(str(self.values.get("input_path", "")).rstrip("/")) or self.name

    def refuse(self, parameter: str, found: str, needed: str) -> Fault:
        """Fault of this entry."""
        return Fault(self.entry.number, self.file, parameter, found, needed, self.entry.line)


class EntryChecker:
    """Check entries one after the other; notebooks and shared values are read once. Faults gather in ``faults``."""

    def __init__(self, source: Source, shared: Shared) -> None:
        self.source, self.shared = source, shared
        self.faults: list[Fault] = []
        self._notebooks: dict[str, Notebook | ParameterError] = {}
        self._values: dict[str, tuple[dict[str, Any], set[str]]] = {}

    def check(self) -> list[CheckedEntry]:
        """All entries that name a notebook; what is wrong with them is in ``faults``."""
        self._check_shared()
        found = [self._check_entry(entry) for entry in self.source.entries]
        return [checked for checked in found if checked is not None]

    def _check_shared(self) -> None:
        """What the command line gives for all rows: the limits, and what no row would follow."""
        entries = [entry for entry in self.source.entries if not entry.refused[0]]
        own = sum(any(name in entry.values for name in _NOTEBOOK) for entry in entries)
        # The user may believe that --notebook comes before the columns, so it is not ignored.
        if self.shared.notebook is not None and own == len(entries) > 0:
            found = f"--notebook {self.shared.notebook} beside {own} rows that all name their own"
            self.faults.append(Fault(0, "--notebook", "notebook", found, "Leave one of the two out."))
        for group in self.shared.groups:
            if not self.source.is_manifest and any(name == "input_path" for name, _ in group.pairs):
                needed = "Leave input_path out: each file is the input of its row."
                self.faults.append(Fault(0, group.place, "input_path", "input_path beside data files", needed))
        for error in _read_limits({_MEMORY: self.shared.memory, _TIME: self.shared.time})[1]:
            self.faults.append(Fault(0, f"--{error.name}", error.name, error.found, error.needed))

    def _check_entry(self, entry: Entry) -> CheckedEntry | None:
        if entry.refused[0]:
            self._refuse(entry, [ParameterError("", *entry.refused)])
            return None
        values = dict(entry.values)
        try:
            notebook = self._find_notebook({name: values.pop(name) for name in _NOTEBOOK if name in values}, entry)
        except ParameterError as error:
            self._refuse(entry, [error])
            return None
        # A notebook that has a parameter of such a name keeps it.
        own = {key: values.pop(key) for key in (_NAME, _MEMORY, _TIME) if key in values.keys() - notebook.parameters}
        name, wrong = _read_name(own.get(_NAME))
        limits, errors = _read_limits(own)
        shared, _ = _read_limits({_MEMORY: self.shared.memory, _TIME: self.shared.time})
        typed, more = convert_values(notebook.parameters, values.items(), self.source.folder)
        common, refused = self._read_shared(notebook)
        merged = merge_values(common, typed)
        # A row with a value of its own does not need the shared one that was refused.
        refused = (refused - typed.keys()) | {error.name.partition(".")[0] for error in more}
        self._refuse(entry, [*errors, *wrong, *more, *_find_unmet(notebook, merged, refused)])
        both = shared | limits
        return CheckedEntry(entry, notebook, merged, name, both.get(_MEMORY), both.get(_TIME))

    def _refuse(self, entry: Entry, errors: Iterable[ParameterError]) -> None:
        label = os.path.basename(str(entry.values.get("input_path", "")))
        for error in errors:
            self.faults.append(Fault(entry.number, label, error.name, error.found, error.needed, entry.line))

    def _find_notebook(self, given: Mapping[str, Any], entry: Entry) -> Notebook:
        """Notebook of an entry, from its own cell or from what all share."""
        words = list(dict.fromkeys(str(word).strip() for word in given.values()))
        if len(words) > 1:
            found = f"workflow '{words[0]}' and notebook '{words[1]}'"
            raise ParameterError("notebook", found, "Needs one of the two columns.")
        if not words and self.shared.notebook is None:
            raise _refuse_without_notebook(entry, is_manifest=self.source.is_manifest)
        word = words[0] if words else str(self.shared.notebook)
        # --notebook counts from where the user stands, a cell from the folder of its manifest.
        folder = self.source.folder if words else Path.cwd()
        key = f"{folder}\n{word}"
        # Errors are kept as well: many rows may name one notebook that cannot be opened.
        if key not in self._notebooks:
            self._notebooks[key] = _open_notebook(word, folder)
        found_notebook = self._notebooks[key]
        if isinstance(found_notebook, ParameterError):
            raise found_notebook
        return found_notebook

    def _read_shared(self, notebook: Notebook) -> tuple[dict[str, Any], set[str]]:
        """Shared values for a notebook and the names of the refused ones, whose faults are noted once."""
        if notebook.workflow not in self._values:
            merged: dict[str, Any] = {}
            refused: set[str] = set()
            for group in self.shared.groups:
                values, errors = convert_values(notebook.parameters, group.pairs, group.folder)
                errors += _find_unmet(notebook, values, alone=True)
                wrong = {error.name.partition(".")[0] for error in errors}
                place = f"{group.place}, {Path(notebook.workflow).name}"
                self.faults += [Fault(0, place, error.name, error.found, error.needed) for error in errors]
                merged = merge_values(merged, {name: value for name, value in values.items() if name not in wrong})
                refused |= wrong
            self._values[notebook.workflow] = merged, refused
        return self._values[notebook.workflow]


def convert_values(
    parameters: Mapping[str, Parameter], pairs: Iterable[tuple[str, Any]], folder: Path
) -> tuple[dict[str, Any], list[ParameterError]]:
    """Typed values with relative paths joined to a folder, and what is wrong with the others."""
    given = list(pairs)
    errors = list(_refuse_own([name for name, _ in given]))
    refused = {error.name for error in errors}
    values, more = collect_settings(parameters, [pair for pair in given if pair[0] not in refused], folder=folder)
    wrong = list(find_wrong_types(parameters, values))
    if values.get("interactive") is True:
        wrong.append(ParameterError("interactive", "got interactive=True", "Leave it out: a batch has no screen."))
    # A wrong `reader.region` refuses all of `reader`: without it the rest may mean something else.
    bad = {error.name.partition(".")[0] for error in wrong}
    right = {name: value for name, value in values.items() if name not in bad}
    return join_paths(right, folder), [*errors, *more, *wrong]


def merge_values(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Values of both; the second comes before the first, and the items of dicts are joined."""
    merged = dict(first)
    for name, value in second.items():
        # A row may change one argument of a function and keep those that all rows share.
        both = isinstance(value, dict) and isinstance(merged.get(name), dict)
        merged[name] = {**merged[name], **value} if both else value
    return merged


def _refuse_own(names: Iterable[str]) -> Iterator[ParameterError]:
    """Parameters that the batch sets itself."""
    if "output_dir" in names:
        found = "output_dir is set by the folder of the batch (--out)"
        yield ParameterError("output_dir", found, "Leave it out; a column 'name' names the folder of a row.")


def _refuse_without_notebook(entry: Entry, *, is_manifest: bool) -> ParameterError:
    """Error of an entry that names no notebook."""
    if not is_manifest:
        needed = "Needs a workflow, or an .ipynb file; manifests end in .csv, .tsv, .yaml or .json."
        return ParameterError("notebook", "data files and no --notebook", needed)
    near = next((f" Write '{name}' in small letters." for name in entry.values if name.lower() in _NOTEBOOK), "")
    needed = f"Needs such a column or --notebook: a workflow, or an .ipynb file.{near}"
    return ParameterError("notebook", "no 'workflow' and no 'notebook'", needed)


def _find_unmet(
    notebook: Notebook, values: Mapping[str, Any], refused: Collection[str] = (), *, alone: bool = False
) -> list[ParameterError]:
    """Values out of their range; ``alone``: of ranges that name no other parameter, which a row may give."""
    found = []
    for error in find_unmet_conditions(notebook.parameters, values):
        condition = notebook.parameters[error.name].condition
        names = condition.names if condition is not None else frozenset()
        # A range that asks for a refused value says nothing.
        if not (alone and names) and not ({error.name} | names) & set(refused):
            found.append(error)
    return found


def _read_limits(values: Mapping[str, Any]) -> tuple[dict[str, Any], list[ParameterError]]:
    """Limits in bytes and seconds, and what is wrong with the others."""
    limits: dict[str, Any] = {}
    errors = []
    readers: dict[str, tuple[Callable[[Any], Any], str]] = {
        _MEMORY: (parse_memory, MEMORY_FORM),
        _TIME: (parse_time, TIME_FORM),
    }
    for key, value in values.items():
        if key not in readers or value is None:
            continue
        read, form = readers[key]
        try:
            limits[key] = read(value)
        except ValueError:
            errors.append(ParameterError(key, f"got {key}={value}", form))
    return limits, errors


def _read_name(value: Any) -> tuple[str, list[ParameterError]]:
    """Name of a row, and what is wrong with it."""
    if value is None:
        return "", []
    name = normalise_name(str(value).strip())
    wrong = find_name_fault(name)
    needed = "Needs a name that is a folder's name on every system, as in 'grain 7'."
    return ("", [ParameterError(_NAME, f"'{name}' holds {wrong}", needed)]) if wrong else (name, [])


def _open_notebook(word: str, folder: Path) -> Notebook | ParameterError:
    """Notebook that a word names, or why there is none."""
    workflow = word if word in WORKFLOWS else os.path.abspath(folder / os.path.expanduser(word))
    if word not in WORKFLOWS and not word.endswith(".ipynb"):
        near = suggest_name(word, tuple(WORKFLOWS))
        needed = f"needs one of {', '.join(WORKFLOWS)} or the path of an .ipynb file. {near}".rstrip()
        return ParameterError("notebook", f"there is no workflow '{word}'", needed)
    try:
        path = find_notebook(workflow)
        return Notebook(workflow, path, notebook_parameters(path), path.read_bytes())
    except ReadError as error:
        here = f" ({word} in {Path.cwd()} does not count)" if os.path.isfile(word) else ""
        there = f"Needs a notebook there: a relative path counts from {folder.resolve()}{here}."
        needed = f"To fix it: {error.cure}." if os.path.exists(workflow) else there
        return ParameterError("notebook", f"{error.found} at {error.path}", needed)
    except (PhasekitError, OSError, ValueError) as error:
        return ParameterError("notebook", f"{word!r} cannot be read ({error})", "Needs a workflow or an .ipynb file.")
