"""One batch at a time writes into a folder; the system gives the lock back when its process ends, however it ends."""

import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from phasekit.errors import ReadError

from ..record import format_now

_LOCK = ".batch.lock"
_OWNER = ".batch.owner.json"
_ROW_LOCK = ".row.lock"
_POLL_S = 0.5
#: Time for the processes of a row to end whose batch was killed [s].
_ROW_S = 5.0


@contextmanager
def lock_folder(
    folder: str | os.PathLike[str], *, wait: bool = False, tell: Callable[[str], None] | None = None
) -> Iterator[None]:
    """Hold the lock of a folder of results.

    Parameters
    ----------
    folder
        Folder; it is made where it is not there.
    wait
        Whether to wait for the end of another batch; otherwise it is refused.
    tell
        Called once with the name of the owner when this batch begins to wait.

    Raises
    ------
    ReadError
        Another batch runs in this folder; the message has its process, its machine and its start.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, lock_folder(folder):
    ...     sorted(path.name for path in Path(folder).iterdir())
    ['.batch.lock', '.batch.owner.json']
    """
    base = Path(folder)
    # The file is never removed: a second batch may hold it open while the first one ends.
    lock = FileLock(base / _LOCK, thread_local=False)
    told = False
    while True:
        try:
            base.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
            break
        except Timeout:
            owner = read_owner(base)
        except OSError as error:
            found = f"a folder that cannot be locked ({error.strerror or error})"
            raise ReadError(base, found=found, cure="make room on the disk, or give a folder to write to") from error
        if not wait:
            cure = "wait for its end, give --wait, or give another folder"
            raise ReadError(base, found=f"a batch that runs here ({owner})", cure=cure)
        if tell is not None and not told:
            tell(f"{base}: waits for another batch ({owner})")
        told = True
        time.sleep(_POLL_S)
    try:
        _write_owner(base)
        yield
    finally:
        lock.release()


@contextmanager
def lock_row(folder: str | os.PathLike[str], *, wait_s: float = _ROW_S) -> Iterator[None]:
    """Hold the lock of the folder of one row, on any machine that sees it; the folder is made.

    Raises
    ------
    ReadError
        Another process runs this row.
    """
    base = Path(folder)
    base.mkdir(parents=True, exist_ok=True)
    lock = FileLock(base / _ROW_LOCK, thread_local=False)
    try:
        lock.acquire(timeout=wait_s, poll_interval=0.05)
    except Timeout as error:
        found = f"a row that another process runs now ({read_owner(base)})"
        raise ReadError(base, found=found, cure="wait for its end, and give the same command again") from error
    try:
        _write_owner(base)
        yield
    finally:
        lock.release()


def is_row_locked(folder: str | os.PathLike[str]) -> bool:
    """Whether a process runs the row of a folder."""
    lock = FileLock(Path(folder) / _ROW_LOCK, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except OSError:  # a file system without locks, or a folder that cannot be written: not known, so left alone
        return True
    lock.release()
    return False


def wait_for_row(folder: str | os.PathLike[str], time_s: float) -> None:
    """Wait until no process runs the row of a folder, or until the time is over."""
    end = time.monotonic() + time_s
    while is_row_locked(folder) and time.monotonic() < end:
        time.sleep(0.05)


def read_owner(folder: Path) -> str:
    """Process, machine and start of the batch that holds the lock, for a message."""
    try:
        owner = json.loads((folder / _OWNER).read_text(encoding="utf-8"))
        return f"process {owner['pid']} on {owner['host']}, since {owner['since']} UTC"
    except (OSError, ValueError, KeyError, TypeError):
        return "its process is not known"


def _write_owner(folder: Path) -> None:
    owner = {"pid": os.getpid(), "host": socket.gethostname(), "since": format_now()}
    partial = folder / f"{_OWNER}.part"
    try:
        partial.write_text(json.dumps(owner), encoding="utf-8")
        os.replace(partial, folder / _OWNER)
    except OSError:  # for messages only
        return
