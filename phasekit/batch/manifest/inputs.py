"""Files that a row reads: whether they are there, and which they are."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from phasekit.errors import ReadError, SchemaError

from ..parameters import Parameter
from ..paths import check_files, is_path, make_absolute
from .checking import CheckedEntry, Notebook
from .entries import Source
from .faults import Fault


def list_inputs(notebook: Notebook, values: Mapping[str, Any]) -> Iterator[Path]:
    """Files that a row reads, those of the notebook's defaults from the folder of the notebook."""
    parameters, folder = notebook.parameters, notebook.path.parent
    for name in filter(is_path, parameters):
        default = make_absolute(parameters, {name: _join(parameters[name].default, folder)})[name]
        value = values.get(name, default)
        for item in value if isinstance(value, list | tuple) else [value]:
            # The notebook may never open a default that is not there; a file that is given counts always.
            if item and (name in values or os.path.exists(item)):
                yield Path(item)


def _join(value: Any, folder: Path) -> Any:
    if isinstance(value, list | tuple):
        return [_join(item, folder) for item in value]
    return str(folder / value) if isinstance(value, str) and value else value


def find_forgotten_inputs(found: Sequence[CheckedEntry], base: Path) -> Iterator[Fault]:
    """Fault of each row that would run on what nobody meant: the notebook's sample, or a result of this batch."""
    # Where no row has an input, all of them run on the sample on purpose.
    if not any("input_path" in checked.values for checked in found):
        return
    for checked in found:
        parameter = checked.notebook.parameters.get("input_path")
        path = checked.values.get("input_path")
        if path is None and parameter is not None and parameter.default:
            sample = os.path.basename(str(parameter.default))
            needed = f"Needs a file, as other rows have one: without it the row would run on {sample}."
            yield checked.refuse("input_path", "no input_path", needed)
        elif path and Path(os.path.abspath(path)).is_relative_to(base):
            needed = "Needs files outside that folder: a narrower pattern, or another --out."
            yield checked.refuse("input_path", "a file in the folder of the batch itself", needed)


def find_missing_files(found: Iterable[CheckedEntry], source: Source) -> Iterator[Fault]:
    """Fault of each file that is not there; a file that many rows share is looked for once."""
    known: dict[tuple[str, str, str], tuple[str, str]] = {}
    for checked in found:
        for name, value in checked.values.items():
            if not is_path(name):
                continue
            for item in value if isinstance(value, list) and value else [value]:
                key = (checked.notebook.workflow, name, str(item))
                if key not in known:
                    known[key] = _find_file_fault(checked.notebook.parameters, name, item, source)
                if known[key][0]:
                    yield checked.refuse(name, *known[key])


def _find_file_fault(parameters: Mapping[str, Parameter], name: str, item: Any, source: Source) -> tuple[str, str]:
    """What is wrong with a path, and what is needed; empty where its file is there."""
    try:
        check_files(parameters, {name: item})
    except ReadError as error:
        shown = error.path.removeprefix(os.path.join(str(source.folder), ""))
        needed = f"Needs a file that is there; relative paths count from {source.folder.resolve()}."
        # Blanks at the ends of a cell are not seen otherwise.
        shown = shown if shown == shown.strip() else repr(shown)
        return f"{error.found.removesuffix(f' for {name}')}: {shown}", needed
    except SchemaError as error:
        found, _, needed = str(error).removeprefix("parameters: ").partition(". ")
        return found, needed
    return _find_kind_fault(item) if item else ("", "")


def _find_kind_fault(item: str) -> tuple[str, str]:
    """What is wrong with a path that is there: its letters, what it is, who may read it."""
    try:
        item.encode()
    except UnicodeEncodeError:
        escaped = item.encode("ascii", "backslashreplace").decode()
        return f"letters that this system's encoding cannot read: {escaped}", "Set PYTHONUTF8=1, or rename the file."
    path = os.path.expanduser(item)
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        return f"a device or a pipe: {item}", "Needs a file: copy the data into one."
    if os.path.exists(path) and not os.access(path, os.R_OK):
        return f"a file that may not be read: {item}", "Needs the right to read it: ask its owner, or chmod u+r."
    return "", ""
