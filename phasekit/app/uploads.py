"""Uploads: checked before they are received, written to the folder of one visitor, removed with it."""

import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .data_root import DataRoot, format_size

_LONGEST_NAME = 120


class RefusedError(Exception):
    """An upload that is not taken, with the status of its answer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class UploadFolder:
    """Files that one visitor sent."""

    def __init__(self, parent: Path, most_bytes: int, endings: tuple[str, ...]) -> None:
        # A secret in the address of its uploads keeps visitors apart.
        self.key = secrets.token_urlsafe(24)
        self.most_bytes, self.endings = most_bytes, endings
        self.folder = Path(tempfile.mkdtemp(prefix="visitor-", dir=parent))
        self.root = DataRoot(self.folder)

    def begin(self, name: str, size: int | None, *, is_first: bool) -> Path:
        """Path for a file that is about to be sent; the first of several replaces what was sent before.

        Raises
        ------
        RefusedError
            It is too large, or of another type.
        """
        self.check(name, size or 0)
        # Not before the check: a refused file leaves the last one.
        if is_first:
            self._clear()
        if self.count_bytes() + (size or 0) > self.most_bytes:
            raise self.refuse_size()
        return self.folder / clean_name(name)

    def check(self, name: str, size: int) -> None:
        """Refuse a file by its size and its ending, before a byte of it is received."""
        if size > self.most_bytes:
            raise self.refuse_size()
        if Path(name.lower()).suffix not in self.endings:
            found = Path(name).suffix or "no ending"
            raise RefusedError(415, f"{clean_name(name)}: found {found}, needs one of {', '.join(self.endings)}.")

    def refuse_size(self) -> RefusedError:
        """Error that names the limit."""
        cure = "start phasekit app with a larger --max-upload, or copy the file below the data root"
        return RefusedError(
            413, f"The upload is larger than the limit of {format_size(self.most_bytes)}. To fix it: {cure}."
        )

    def remove(self) -> None:
        """Remove the folder with all that was sent."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _clear(self) -> None:
        for path in self.folder.iterdir():
            path.unlink()

    def count_bytes(self) -> int:
        """Size of all files of this visitor."""
        return sum(path.stat().st_size for path in self.folder.iterdir())


class Receiver:
    """One file that is being received; the limit holds also where the sender states no size."""

    def __init__(self, folder: UploadFolder, name: str, size: int | None, *, is_first: bool) -> None:
        self._folder, self._path = folder, folder.begin(name, size, is_first=is_first)
        self._file = self._path.open("wb")

    def write(self, block: bytes) -> None:
        """Write a block to the disk; nothing is gathered in memory."""
        self._file.write(block)
        self._file.flush()
        # All files of the folder count, also those that are being received beside this one.
        if self._folder.count_bytes() > self._folder.most_bytes:
            self.cancel()
            raise self._folder.refuse_size()

    def finish(self) -> str:
        """Close the file; its name."""
        self._file.close()
        return self._path.name

    def cancel(self) -> None:
        """Close and remove what was received."""
        self._file.close()
        self._path.unlink(missing_ok=True)


@contextmanager
def make_parent() -> Iterator[Path]:
    """Folder for the uploads of all visitors, removed when the server ends."""
    # Only the owner may look into it: mkdtemp sets the mode 0700.
    with tempfile.TemporaryDirectory(prefix="phasekit-app-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def clean_name(name: str) -> str:
    r"""Plain file name of what a browser calls a file.

    Examples
    --------
    >>> clean_name("../../etc/pass wd.h5"), clean_name("C:\\data\\scan.h5"), clean_name("..")
    ('pass wd.h5', 'scan.h5', 'upload')
    """
    last = re.split(r"[/\\]", name)[-1]
    kept = re.sub(r"[^\w .+()-]", "_", last, flags=re.ASCII).strip(" .")
    return kept[-_LONGEST_NAME:].lstrip(" .") or "upload"


def list_endings() -> tuple[str, ...]:
    """Endings of the files that may be sent: of every format of stacks and scans, their companions, and results."""
    from phasekit.io.formats.registry import list_formats

    rows: list[Any] = [row for row in list_formats() if row.function != "open_phase"]
    endings = {ending for row in rows for ending in (*row.endings.split(), *row.beside.split())} | {".nc", ".h5"}
    return tuple(sorted(ending.lower() for ending in endings if ending.startswith(".") and ending != ".zarr"))
