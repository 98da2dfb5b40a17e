"""Paths among the parameters of a notebook: where they count from, and whether their files are there.

A parameter is a path when its name ends in ``_path`` or ``_dir``, and a list of paths when it ends in ``_paths``.
"""

import glob
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phasekit.code_cache import is_writable
from phasekit.errors import ReadError, SchemaError

from .kinds import takes_list
from .parameters import Parameter


def is_path_list(name: str) -> bool:
    """Whether a parameter holds files, one or several."""
    return name.endswith("_paths")


def is_path(name: str) -> bool:
    """Whether a parameter holds a file or several, by the ending of its name."""
    return name.endswith(("_path", "_paths"))


def join_paths(values: Mapping[str, Any], folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Values whose relative input paths count from a folder; empty texts stand for no file and stay."""

    def join(item: Any) -> Any:
        return str(Path(folder) / os.path.expanduser(item)) if item else item

    joined = dict(values)
    for name, value in values.items():
        if is_path(name):
            joined[name] = [join(item) for item in value] if isinstance(value, list | tuple) else join(value)
    return joined


def make_absolute(parameters: Mapping[str, Parameter], values: Mapping[str, Any]) -> dict[str, Any]:
    """Values with absolute paths, because the kernel runs in another folder; glob patterns become lists of files."""
    absolute = dict(values)
    for name, value in values.items():
        if name.endswith(("_path", "_dir")) and value:
            absolute[name] = os.path.abspath(os.path.expanduser(value))
        elif is_path_list(name):
            items = [os.path.abspath(os.path.expanduser(item)) for item in _list_items(value)]
            several = [file for item in items for file in _expand_pattern(item)]
            # A pattern that matches one file is still a list where the parameter takes lists.
            is_list = isinstance(value, list | tuple) or (several != items and takes_list(parameters[name].kind))
            absolute[name] = (several if is_list else items[0]) if items else value
    return absolute


def check_files(parameters: Mapping[str, Parameter], values: Mapping[str, Any]) -> None:
    r"""Refuse paths of files that are not there, with the name of their parameter.

    Raises
    ------
    SchemaError
        A path is empty, or holds a line break as JSON makes it of ``\n`` in a Windows path.
    ReadError
        There is no such file, or no file that matches a pattern.
    """
    for name, value in values.items():
        if is_path(name):
            _check_path(parameters[name], value)


def _check_path(parameter: Parameter, value: Any) -> None:
    """Refuse a path, or one of several."""
    items, name = _list_items(value), parameter.name
    # An empty default stands for no file; elsewhere an empty text is a variable of the shell that was not set.
    if (not items or "" in items) and (parameter.default or any(items)):
        raise SchemaError(f"parameters: {name} is empty. Give a file, or leave {name} out.")
    for item in filter(None, items):
        if any(ord(letter) < 32 for letter in item):
            raise SchemaError(
                f"parameters: {name} = {item!r} holds a line break or tab. In JSON write a backslash twice, or use /."
            )
        path = os.path.expanduser(item)
        # Only a list of files can be a pattern; one file is opened by the name as it stands.
        if all(os.path.exists(file) for file in (_expand_pattern(path) if is_path_list(name) else [path])):
            continue
        is_pattern = is_path_list(name) and glob.has_magic(item)
        found = f"no file that matches this pattern for {name}" if is_pattern else f"no such file for {name}"
        raise ReadError(item, found=found, cure=f"check the path; relative ones count from {Path.cwd()}")


def check_folder(path: str | os.PathLike[str]) -> None:
    """Refuse a folder for results that is a file, or that cannot be made or written.

    Raises
    ------
    SchemaError
        The path is empty.
    ReadError
        There is a file in its place, or it cannot be written.
    """
    if not os.fspath(path).strip():
        raise SchemaError("the folder for the results is empty. Give --out a folder, new or old.")
    folder = Path(path)
    if os.path.exists(folder) and not folder.is_dir():
        raise ReadError(folder, found="a file", cure="give --out a folder, new or old")
    if not is_writable(folder):
        raise ReadError(folder, found="a folder that cannot be written", cure="give --out another folder")


def _list_items(value: Any) -> list[str]:
    """Paths of a value; ``None`` holds none."""
    items = value if isinstance(value, list | tuple) else [value]
    return [os.fspath(item) for item in items if item is not None]


def _expand_pattern(item: str) -> list[str]:
    """Files that match a glob pattern; the text itself where there are none."""
    if not item or os.path.exists(item) or not glob.has_magic(item):
        return [item]
    return sorted(glob.glob(item)) or [item]
