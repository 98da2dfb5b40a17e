"""What a path holds: the run of a workflow, saved data, or a raw file; and the explorer over it."""

import inspect
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import xarray as xr

from phasekit.errors import PhasekitError, ReadError, SchemaError

from .data_root import DataRoot, is_store
from .run_inputs import RunInputs
from .workflow_views import VIEWS, Loaded

RESULT = "result.nc"
RECORD = "run.json"
#: How a raw file is read: by its content, or as one of the two.
READERS = ("by content", "STXM stack", "4D-STEM scan")
_SAVED = (".nc", ".h5", ".zarr")


class Wish(NamedTuple):
    """What a visitor asks for."""

    path: Path
    reader: str = READERS[0]
    arguments: str = ""  # of the reader, as JSON
    is_full: bool = False  # also what takes long: peaks of a large scan


class Source(NamedTuple):
    """Something that was read; ``build`` makes its explorer and is called where the page is made."""

    title: str
    build: Callable[[], Any]
    notes: Sequence[str] = ()  # complete when ``build`` was called
    close: Callable[[], None] = lambda: None
    more: str = ""  # what the same wish with ``is_full`` would add


def open_source(wish: Wish, root: DataRoot) -> Source:
    """Read what a path holds.

    Parameters
    ----------
    wish
        Its path was found by a :class:`DataRoot`.
    root
        Folder below which the inputs of a run may be read.

    Raises
    ------
    ReadError, SchemaError
        It holds nothing that can be explored.
    """
    path = wish.path
    if path.is_dir() and not is_store(path):
        return _open_run(wish, root)
    # Whoever chooses a reader, or its arguments, means a raw file.
    if path.suffix.lower() in _SAVED and wish.reader == READERS[0] and not wish.arguments.strip():
        saved = _read_saved(path)
        if saved is not None:
            record = _read_record(path.parent, root) if path.name == RESULT else {}
            return _explore_saved(wish, saved, record, root)
    return _explore_raw(wish)


def _open_run(wish: Wish, root: DataRoot) -> Source:
    """Open the folder of a run."""
    folder = wish.path
    record = _read_record(folder, root)
    if record and record.get("status") != "ok":
        found = f"a run that did not end well ({record.get('status')}): {record.get('error')}"
        raise ReadError(folder, found=found, cure="open its notebook.ipynb, or run it again")
    if not (folder / RESULT).is_file():
        found = "a folder without a result.nc"
        raise ReadError(folder, found=found, cure="choose a file in it, or the folder of a run")
    # Looked up again, because the file itself may be a link.
    saved = _read_saved(root.find(str(folder / RESULT)))
    if saved is None:
        raise ReadError(folder / RESULT, found="no results of phasekit", cure="run the notebook again")
    return _explore_saved(wish, saved, record, root)


def _read_record(folder: Path, root: DataRoot) -> dict[str, Any]:
    """Record of a run; empty where there is none."""
    from phasekit.batch import read_record

    if not (folder / RECORD).is_file():
        return {}
    root.find(str(folder / RECORD))  # the record itself may be a link
    return read_record(folder)


def _read_saved(path: Path) -> dict[str, xr.Dataset] | None:
    """Datasets of a file of phasekit, by kind; ``None`` for a raw file or one of another program."""
    from phasekit import io

    try:
        tree = io.load_results(path)
    except ReadError:
        return _read_single(path)
    found = {name: node.to_dataset() for name, node in tree.children.items()}
    # Two groups may be of one kind: the first one counts, and the others keep their names.
    named: dict[str, xr.Dataset] = {}
    for name, data in found.items():
        kind = str(data.attrs.get("schema", name))
        named[name if kind in named else kind] = data
    return named


def _read_single(path: Path) -> dict[str, xr.Dataset] | None:
    from phasekit import io

    try:
        data = io.load(path)
    except ReadError:
        return None  # the readers of raw files say better what it is
    kind = str(data.attrs.get("schema", ""))
    if kind and kind not in ("STACK", "PATTERNS"):
        return {kind: data}
    data.close()
    return None


def _explore_saved(wish: Wish, saved: dict[str, xr.Dataset], record: dict[str, Any], root: DataRoot) -> Source:
    """Explorer of a workflow over its results, with the inputs that may be read."""
    from .previews import preview_maps

    inputs = RunInputs(record, wish.path if wish.path.is_dir() else wish.path.parent, root)
    title = str(record.get("title") or ", ".join(saved))

    def close() -> None:
        for data in saved.values():
            data.close()

    kind = next((kind for kind in VIEWS if kind in saved), None)
    if kind is None:
        return Source(title, lambda: preview_maps(saved), close=close)
    loaded: Loaded = VIEWS[kind](saved, inputs, wish.is_full)
    return Source(title, loaded.build, inputs.notes, close, loaded.more)


def _explore_raw(wish: Wish) -> Source:
    """First look at a stack or a scan as it comes from its file."""
    from phasekit import io

    from .previews import preview_patterns, preview_stack

    openers: dict[str, tuple[Any, Any]] = {
        READERS[1]: (io.open_stxm, preview_stack),
        READERS[2]: (io.open_4dstem, preview_patterns),
    }
    wanted = [wish.reader] if wish.reader in openers else list(openers)
    faults: dict[str, PhasekitError] = {}
    for name in wanted:
        opener, preview = openers[name]
        try:
            data = opener(wish.path, **read_arguments(wish.arguments, opener))
            # Blocks are read here, so that damage inside the file is met before the page is made.
            return Source(name, preview(data), close=data.close)
        except PhasekitError as error:
            faults[name] = error
    raise _join_faults(wish.path, faults)


def _join_faults(path: Path, faults: dict[str, PhasekitError]) -> PhasekitError:
    """One error of those of the readers; what both found is said once."""
    errors = list(faults.values())
    # An error in the arguments says more than that the other reader does not know the file.
    if len(errors) == 1 or not all(isinstance(error, ReadError) for error in errors):
        return next((error for error in errors if not isinstance(error, ReadError)), errors[0])
    found = {name: getattr(error, "found", "") for name, error in faults.items()}
    texts = set(found.values())
    text = texts.pop() if len(texts) == 1 else "; ".join(f"{text} (as {name})" for name, text in found.items())
    cures = dict.fromkeys(getattr(error, "cure", "") for error in errors)
    return ReadError(path, found=text, cure="; or ".join(cures))


def read_arguments(text: str, opener: Callable[..., Any]) -> dict[str, Any]:
    """Arguments of an opener from JSON text.

    Raises
    ------
    SchemaError
        The text is no JSON object, or the opener takes no such argument.

    Examples
    --------
    >>> import phasekit as pk
    >>> read_arguments('{"scan_shape": [64, 64]}', pk.io.open_4dstem)
    {'scan_shape': [64, 64]}
    """
    if not text.strip():
        return {}
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SchemaError(f'arguments: {text!r} is no JSON. Write for example {{"scan_shape": [64, 64]}}.') from error
    if not isinstance(given, dict):
        raise SchemaError(f'arguments: {text!r} is no JSON object. Write for example {{"scan_shape": [64, 64]}}.')
    # Told here with the names that there are: Python's own error names only the wrong one.
    known = [name for name in inspect.signature(opener).parameters if name != "path"]
    unknown = sorted(given.keys() - set(known))
    if unknown:
        raise SchemaError(f"arguments: {opener.__name__} takes no {unknown[0]!r}, but {', '.join(known)}.")
    return given
