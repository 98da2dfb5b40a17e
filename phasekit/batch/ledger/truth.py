"""Whether a row is done: what the ledger says, the files as they are, and the row as it is asked for now."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..paths import is_path
from .events import Event

#: Reason of a row that the ledger does not know.
NEW = "not run yet"


def find_changes(
    last: Event | None, definition: Mapping[str, Any], folder: Path, hash_of: Callable[[Path], str]
) -> list[str]:
    """Find out why a row must run; a row that is done gives none.

    Parameters
    ----------
    last
        Last state of the row in the ledger; ``None`` where it was never run.
    definition
        What decides the result now (:func:`describe_row`): ``notebook``, ``parameters``, ``inputs``, ``versions``.
    folder
        Folder of the row.
    hash_of
        Hash of a file.

    Returns
    -------
    list of str
        Reasons, the first one first. Times play no part, so a clock that was set back changes nothing.
    """
    if last is None:
        return [NEW]
    if last.kind == "started":
        return ["interrupted: its batch ended before it did"]
    if last.kind == "interrupted":
        return [f"interrupted: {last.reason}" if last.reason else "interrupted"]
    if last.kind != "finished":
        return [f"failed before: {last.reason}".rstrip(": ")]
    return [
        *_compare_results(last.detail.get("results", {}), folder, hash_of),
        *_compare_definitions(last.detail.get("definition", {}), definition),
    ]


def describe_row(
    notebook: Path,
    parameters: Mapping[str, Any],
    inputs: list[str],
    versions: Mapping[str, str],
    hash_of: Callable[[Path], str],
) -> dict[str, Any]:
    """What decides the result of a row: hashes of notebook and inputs, parameters, versions of packages.

    An input that is not there has an empty hash, and so has one that cannot be read.
    """
    plain = json.loads(json.dumps(dict(parameters), default=str))  # as it comes back from the ledger
    hashes = {path: _hash_if_there(Path(path), hash_of) for path in inputs}
    return {"notebook": hash_of(notebook), "parameters": plain, "inputs": hashes, "versions": dict(versions)}


def _hash_if_there(path: Path, hash_of: Callable[[Path], str]) -> str:
    try:
        return hash_of(path)
    except OSError:
        return ""


def _compare_results(results: Mapping[str, str], folder: Path, hash_of: Callable[[Path], str]) -> Iterator[str]:
    for name, known in results.items():
        if not (folder / name).exists():
            yield f"{name} is missing"
        elif _hash_if_there(folder / name, hash_of) != known:
            yield f"{name} is not what the run wrote"


def _compare_definitions(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """Differences between what a run was made from and what is asked for."""
    if old.get("notebook") != new["notebook"]:
        yield "the notebook changed"
    inputs = old.get("inputs", {}), new["inputs"]
    yield from _compare_inputs(*inputs)
    before, now = old.get("parameters", {}), new["parameters"]
    # A file that was moved is the same input: its name and its content count.
    moved = [
        name for name in before.keys() & now.keys() if is_path(name) and _is_moved(before[name], now[name], inputs)
    ]
    yield from _compare_values(before, now | {name: before[name] for name in moved}, "the notebook's own", repr)
    yield from _compare_values(old.get("versions", {}), new["versions"], "none", str)


def _compare_inputs(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    """Differences of the inputs; a file that is gone is compared with a new one of its name."""
    gone = [path for path in old if path not in new]
    for path, known in new.items():
        name = Path(path).name
        places = [path] if path in old else [other for other in gone if Path(other).name == name]
        if not places:
            yield f"input {name} is new"
            continue
        same = [place for place in places if old[place] == known and known]
        place = (same or places)[0]
        if place in gone:
            gone.remove(place)
        if old[place] != known:
            yield f"input {name} changed" if known else f"input {name} is missing"
    for path in gone:
        yield f"input {Path(path).name} is gone"


def _is_moved(old: Any, new: Any, inputs: tuple[Mapping[str, str], Mapping[str, str]]) -> bool:
    """Whether paths lead to files of the same names and contents, in the same order, somewhere else."""
    pairs = [value if isinstance(value, list) else [value] for value in (old, new)]
    if isinstance(old, list) != isinstance(new, list) or len(pairs[0]) != len(pairs[1]):
        return False
    kept, found = ([_describe_place(item, known) for item in value] for value, known in zip(pairs, inputs, strict=True))
    return kept == found and all(files for _, files in kept)


def _describe_place(item: Any, known: Mapping[str, str]) -> tuple[str, list[tuple[str, str]]]:
    """Name of a file or folder, and the files in it with their hashes; none for what is no input."""
    path = str(item).rstrip("/")
    if path in known:
        return Path(path).name, [("", known[path])] if known[path] else []
    below = sorted((name.removeprefix(path), found) for name, found in known.items() if name.startswith(f"{path}/"))
    return Path(path).name, below


def _compare_values(
    old: Mapping[str, Any], new: Mapping[str, Any], none: str, write: Callable[[Any], str]
) -> Iterator[str]:
    for name in {**old, **new}:
        if name not in old or name not in new or old[name] != new[name]:
            before, now = (write(values[name]) if name in values else none for values in (old, new))
            yield f"{name} {before} -> {now}"
