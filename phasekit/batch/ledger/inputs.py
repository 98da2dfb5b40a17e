"""The files that a row reads: every path among its parameters, and the files that belong to each."""

import glob
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

#: One file holds everything; other formats have a header, frames or energies in files beside it.
_ALONE = (
    *(".h5", ".hdf5", ".hdf", ".nxs", ".nx5", ".nc", ".zarr", ".emd", ".hspy", ".zspy", ".npy", ".cif"),
    *(".csv", ".xsp", ".dm3", ".dm4", ".json", ".yaml"),
)


def list_inputs(values: Mapping[str, Any], folder: str | os.PathLike[str]) -> list[str]:
    """List the files that the parameters of a row name, as absolute paths, sorted.

    Parameters
    ----------
    values
        Value by name; names that end in ``_path`` or ``_paths`` hold files, folders and glob patterns.
    folder
        Folder from which relative paths count: that of the notebook.

    Returns
    -------
    list of str
        A folder counts as the files in it. The frames of a header count, too. A file that is not there is listed.

    Examples
    --------
    >>> list_inputs({"input_path": "/data/scan.h5", "i0_path": "", "seed": 1}, "/notebooks")
    ['/data/scan.h5']
    """
    named = [value for name, value in values.items() if name.endswith(("_path", "_paths"))]
    items = [item for value in named for item in (value if isinstance(value, list | tuple) else [value]) if item]
    return expand_paths([os.path.join(folder, os.path.expanduser(item)) for item in items])


def expand_paths(paths: Iterable[str | os.PathLike[str]]) -> list[str]:
    """Files of paths: those in a folder, those that match a pattern, those that belong to a header; sorted."""
    return sorted({str(file) for path in paths for file in _expand_path(os.path.abspath(path))})


def _expand_path(path: str) -> Iterator[Path]:
    """Files of one path."""
    if not os.path.exists(path) and glob.has_magic(path):
        for match in sorted(glob.glob(path)):
            yield from _expand_path(match)
    elif os.path.isdir(path):
        yield from (file for file in Path(path).rglob("*") if file.is_file())
    else:
        yield Path(path)
        yield from _find_companions(Path(path))


def _find_companions(path: Path) -> Iterator[Path]:
    """Files beside a file that begin with its name: the frames of an SDF header, the energies of a TIFF stack."""
    suffix = path.suffix.lower()
    if suffix in _ALONE or not path.is_file():
        return
    files = [file for file in path.parent.iterdir() if file.is_file() and not file.name.startswith(".")]
    # The parts of a series are numbered: scan_000.tvips, scan_001.tvips.
    if suffix == ".tvips":
        series = re.sub(r"\d+$", "", path.stem)
        yield from (file for file in files if re.sub(r"\d+$", "", file.stem) == series and file.suffix == path.suffix)
        return
    # A frame belongs to the longest name that it begins with: scan10_a.xim to scan10.hdr, not to scan1.hdr.
    longer = [file.stem for file in files if file.suffix == path.suffix and len(file.stem) > len(path.stem)]
    for file in files:
        is_other = any(file.name.startswith(stem) for stem in longer if stem.startswith(path.stem))
        if file.name.startswith(path.stem) and file.suffix != path.suffix and not is_other:
            yield file
