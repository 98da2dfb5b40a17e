"""Hashes of the contents of files, computed again only where a file may have changed."""

import hashlib
import os
import time
from pathlib import Path
from typing import Protocol

#: A file that changed less than this before it was read may change again within one tick of its clock [s].
_TICK_S = 2.0


class Hashes(Protocol):
    """Where hashes are kept."""

    def find_hash(self, path: str, key: tuple[int, ...]) -> str | None:
        """Hash of a file that is known."""

    def save_hash(self, path: str, key: tuple[int, ...], sha256: str) -> None:
        """Keep the hash of a file."""


def compute_hash(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's content, read in blocks.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "a.txt").write_text("a")
    ...     compute_hash(Path(folder) / "a.txt")[:8]
    'ca978112'
    """
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_key(path: str | os.PathLike[str]) -> tuple[int, int, int, int]:
    """Size, times of the last change of content and of state [ns], and inode; an equal key means the same content."""
    found = os.stat(path)
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def hash_file(ledger: Hashes, path: str | os.PathLike[str]) -> str:
    """Hash of a file, from the ledger where size, times and inode are those of the last reading."""
    name, key = str(path), read_key(path)
    known = ledger.find_hash(name, key)
    if known is not None:
        return known
    found = compute_hash(path)
    # A file that is being written, or was a moment ago, is read again next time.
    changed_s = max(key[1], key[2]) / 1e9
    if read_key(path) == key and abs(time.time() - changed_s) > _TICK_S:
        ledger.save_hash(name, key, found)
    return found
