"""Paths of tables: one, a pattern, or several."""

import glob
from collections.abc import Iterable
from os import PathLike
from pathlib import Path

from ...errors import ReadError
from .remote import make_local_path


def expand_paths(path: str | PathLike[str] | Iterable[str | PathLike[str]]) -> list[Path]:
    """Files that a path, a glob pattern or several of either name.

    Raises
    ------
    ReadError
        A file is missing or a folder, or there is none.
    """
    given = [path] if isinstance(path, str | PathLike) else list(path)
    files: list[Path] = []
    for item in given:
        name = str(make_local_path(item))
        if Path(name).exists() or not glob.has_magic(name):
            files.append(Path(name))
        else:
            files += [Path(found) for found in sorted(glob.glob(name))] or [Path(name)]
    for file in files:
        if not file.exists() or (file.is_dir() and not is_phasekit_file(file)):
            found = "a folder" if file.is_dir() else "no such file"
            raise ReadError(file, found=found, cure="give the path of a text table of spectra (csv, txt, xdi, nc)")
    if not files:
        raise ReadError("open_references", found="an empty list of paths", cure="give at least one file")
    return files


def is_phasekit_file(path: Path) -> bool:
    """Whether a file is one of phasekit's own by its ending."""
    return path.suffix.lower() in (".nc", ".zarr", ".h5")
