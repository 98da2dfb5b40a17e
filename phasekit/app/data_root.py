"""Files that a page may read: those below one folder, whatever a text, a link or a record says."""

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from phasekit.batch.ledger.inputs import expand_paths
from phasekit.errors import ReadError

_MOST_ENTRIES = 2000  # of a folder, shown at most
#: Endings of files that name no other file, or whose links are checked when they are opened.
_ALONE = (".nc", ".h5", ".hdf5", ".hspy", ".emd", ".npy", ".cif", ".csv", ".dm3", ".dm4", ".blo", ".json")
_DRIVE = re.compile(r"[A-Za-z]:")


class Entry(NamedTuple):
    """One line of the folder browser."""

    name: str
    is_folder: bool
    text: str  # name, and size or kind


class DataRoot:
    """Folder below which files may be read."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(os.path.realpath(folder))
        if not self.folder.is_dir():
            raise ReadError(folder, found="no such folder", cure="give --root a folder")

    def find(self, text: str) -> Path:
        """Real path of a file or folder below the root.

        Parameters
        ----------
        text
            Path as a person typed it or a record holds it; relative ones count from the root.

        Raises
        ------
        ReadError
            The text leads outside the root, also through a link; nothing is there; or it is no file and no folder.
        """
        if "\0" in text or _DRIVE.match(text) or ".." in re.split(r"[/\\]", text):
            raise self._refuse(text, "a path that may lead outside")
        try:
            # Links are resolved first: where the path really leads is what counts.
            path = Path(os.path.realpath(os.path.join(self.folder, text)))
        except (OSError, ValueError) as error:
            raise self._refuse(text, "no path of this system") from error
        if not self.holds(path):
            raise self._refuse(text, "a path outside")
        if not os.path.exists(path):
            raise ReadError(text, found="no such file", cure=f"check the path; it counts from {self.folder}")
        # A pipe would block the reader for ever.
        if not stat.S_ISREG(path.stat().st_mode) and not path.is_dir():
            raise ReadError(text, found="neither a file nor a folder", cure="choose a file")
        self._check_links(path)
        return path

    def holds(self, path: Path) -> bool:
        """Whether a real path is the root or lies below it."""
        return path == self.folder or self.folder in path.parents

    def name(self, path: Path) -> str:
        """Path below the root, with forward slashes; empty for the root itself."""
        relative = path.relative_to(self.folder).as_posix()
        return "" if relative == "." else relative

    def list_entries(self, folder: Path) -> tuple[list[Entry], int]:
        """Folders and files of a folder, folders first, and how many were left out beyond the first 2000."""
        entries = []
        for item in sorted(folder.iterdir(), key=lambda path: path.name.lower()):
            # What a link shows outside the root is not even named.
            if item.name.startswith(".") or not self.holds(Path(os.path.realpath(item))):
                continue
            entry = _describe(item)
            entries += [entry] if entry else []
        entries.sort(key=lambda entry: not entry.is_folder)
        return entries[:_MOST_ENTRIES], max(len(entries) - _MOST_ENTRIES, 0)

    def _check_links(self, path: Path) -> None:
        """Refuse links to the outside among what is read together with a path."""
        for item in _list_companions(path):
            if item.is_symlink() and not self.holds(Path(os.path.realpath(item))):
                raise self._refuse(item.name, "a link that leads outside")

    def _refuse(self, text: str, found: str) -> ReadError:
        shown = text if text.isprintable() else repr(text)
        cure = f"choose a file below {self.folder}, or start phasekit app with --root and a folder that holds it"
        return ReadError(shown, found=f"{found} the data root", cure=cure)


def is_store(path: Path) -> bool:
    """Whether a folder is a zarr store, which is opened like a file."""
    marks = ("zarr.json", ".zgroup", ".zarray")
    return path.is_dir() and (
        path.suffix.lower() in (".zarr", ".zspy") or any((path / mark).exists() for mark in marks)
    )


def _list_companions(path: Path) -> Iterator[Path]:
    """What may be read together with a path: everything in a store, the frames of a header, the files beside it.

    A header names the files that it needs as it likes, so all files of its folder count.
    """
    if is_store(path):
        yield from _walk_store(path, set())
    elif not path.is_dir():  # of other folders each file is looked up by itself
        if path.suffix.lower() not in _ALONE:
            yield from path.parent.iterdir()
        yield from (Path(file) for file in expand_paths([path]))


def _walk_store(folder: Path, seen: set[Path]) -> Iterator[Path]:
    """Everything in a store, also behind its links to folders, each folder once."""
    real = Path(os.path.realpath(folder))
    if real in seen:
        return
    seen.add(real)
    with os.scandir(real) as entries:
        for entry in entries:
            yield Path(entry.path)
            if entry.is_dir():
                yield from _walk_store(Path(entry.path), seen)


def _describe(item: Path) -> Entry | None:
    """Line of a file or folder; ``None`` for what is neither or cannot be asked."""
    try:
        if item.is_dir():
            if is_store(item):
                return Entry(item.name, False, f"{item.name}  ·  zarr store")
            kind = "  ·  run" if (item / "run.json").is_file() else ""
            return Entry(item.name, True, f"{item.name}/{kind}")
        if item.is_file():
            return Entry(item.name, False, f"{item.name}  ·  {format_size(item.stat().st_size)}")
    except OSError:
        return None
    return None


def format_size(n_bytes: float) -> str:
    """Size in the largest unit that gives at least 1.

    Examples
    --------
    >>> format_size(999), format_size(200e6)
    ('999 B', '200 MB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.3g} TB"
