"""Whether a row is done: what the ledger says, the files as they are, and the row as it is asked for now."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

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
    yield from _compare_inputs(old.get("inputs", {}), new["inputs"])
    yield from _compare_values(old.get("parameters", {}), new["parameters"], "the notebook's own", repr)
    yield from _compare_values(old.get("versions", {}), new["versions"], "none", str)


def _compare_inputs(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    for path, known in new.items():
        name = Path(path).name
        if path not in old:
            yield f"input {name} is new"
        elif old[path] != known:
            yield f"input {name} changed" if known else f"input {name} is missing"
    for path in old:
        if path not in new:
            yield f"input {Path(path).name} is gone"


def _compare_values(
    old: Mapping[str, Any], new: Mapping[str, Any], none: str, write: Callable[[Any], str]
) -> Iterator[str]:
    for name in {**old, **new}:
        if name not in old or name not in new or old[name] != new[name]:
            before, now = (write(values[name]) if name in values else none for values in (old, new))
            yield f"{name} {before} -> {now}"
