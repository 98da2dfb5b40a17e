"""The ledger of a folder of results: events of its rows, appended and never changed, in one SQLite file."""

import json
import os
import sqlite3
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from phasekit.errors import ReadError

from ..record import format_now

LEDGER = "ledger.sqlite"
#: Kinds of events. The last one of these, by its number in the ledger, is the state of a row.
STATES = ("started", "finished", "failed", "interrupted")
KINDS = (*STATES, "queued", "skipped")
_TABLES = """
CREATE TABLE IF NOT EXISTS events (
  number INTEGER PRIMARY KEY AUTOINCREMENT, row TEXT NOT NULL, kind TEXT NOT NULL, time TEXT NOT NULL,
  reason TEXT NOT NULL, detail TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS events_of_row ON events (row, number);
CREATE TRIGGER IF NOT EXISTS no_update BEFORE UPDATE ON events
  BEGIN SELECT RAISE(ABORT, 'events are appended and never changed'); END;
CREATE TRIGGER IF NOT EXISTS no_delete BEFORE DELETE ON events
  BEGIN SELECT RAISE(ABORT, 'events are appended and never removed'); END;
CREATE TABLE IF NOT EXISTS hashes (
  path TEXT PRIMARY KEY, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER, inode INTEGER, sha256 TEXT);
"""
#: File systems on which the shared memory of SQLite's write-ahead log is not kept.
_NETWORK = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "lustre", "gpfs", "beegfs", "afs", "9p", "fuse.sshfs", "ceph")


class Event(NamedTuple):
    """One line of the ledger."""

    number: int
    row: str
    kind: str
    time: str  # UTC, to be read by people: nothing is decided by it
    reason: str
    detail: dict[str, Any]


class Ledger:
    """Ledger of one folder, open for reading and appending.

    What cannot be written (a full disk) is kept and tried again with the next event. ``trouble`` says what was wrong,
    and ``notice`` that a slower kind of journal had to be taken.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.path = Path(folder) / LEDGER
        self.notice = ""
        self.trouble = ""
        self._waiting: list[tuple[str, ...]] = []
        self._alone = threading.Lock()
        try:
            self._connection = sqlite3.connect(self.path, timeout=30, isolation_level=None, check_same_thread=False)
            self._choose_journal()
            self._connection.execute("PRAGMA synchronous=FULL")  # an event that was told stays, also after a power cut
            self._connection.executescript(_TABLES)
        except sqlite3.OperationalError as error:  # a subclass of DatabaseError: the file may be sound
            found = f"a ledger that cannot be opened ({error})"
            raise ReadError(
                self.path, found=found, cure="make room on the disk, or give a folder to write to"
            ) from error
        except sqlite3.DatabaseError as error:
            cure = "move the file away; all rows are then run again"
            raise ReadError(self.path, found=f"a file that is no ledger ({error})", cure=cure) from error

    def append(self, row: str, kind: str, reason: str = "", detail: Mapping[str, Any] | None = None) -> None:
        """Append an event; a state is on the disk when this returns, or waits for room there.

        What is no state waits for the next state: of a thousand rows that are done each would wait for the disk.
        """
        text = json.dumps(dict(detail or {}), default=str)
        with self._alone:
            self._waiting.append((row, kind, format_now(), reason, text))
            if kind in STATES:
                self._write_waiting()

    def flush(self) -> bool:
        """Write what waits; whether all of it is written."""
        with self._alone:
            self._write_waiting()
            return not self._waiting

    def read_events(self, row: str | None = None) -> list[Event]:
        """Events in the order in which they were appended, of one row or of all, as far as they are written."""
        chosen, values = ("WHERE row = ?", (row,)) if row is not None else ("", ())
        return self._select(f"SELECT * FROM events {chosen} ORDER BY number", values)

    def read_states(self) -> dict[str, Event]:
        """Last state of every row, by the order of the events and not by their times."""
        marks = ", ".join("?" * len(STATES))
        last = f"SELECT MAX(number) FROM events WHERE kind IN ({marks}) GROUP BY row"
        found = self._select(f"SELECT * FROM events WHERE number IN ({last}) ORDER BY number", STATES)
        return {event.row: event for event in found}

    def find_hash(self, path: str, key: tuple[int, ...]) -> str | None:
        """Hash of a file that was computed when it had the same key (:func:`.hashes.read_key`)."""
        query = "SELECT sha256 FROM hashes WHERE path=? AND size=? AND mtime_ns=? AND ctime_ns=? AND inode=?"
        with self._alone:
            try:
                found = self._connection.execute(query, (path, *key)).fetchone()
            except sqlite3.OperationalError as error:  # a full disk: the hash is computed
                self.trouble, found = str(error), None
        return str(found[0]) if found else None

    def save_hash(self, path: str, key: tuple[int, ...], sha256: str) -> None:
        """Keep the hash of a file; a hash that cannot be kept is computed again."""
        with self._alone:
            try:
                self._connection.execute("INSERT OR REPLACE INTO hashes VALUES (?,?,?,?,?,?)", (path, *key, sha256))
            except sqlite3.OperationalError as error:
                self.trouble = str(error)

    def close(self) -> None:
        """Write what waits and close the file."""
        with self._alone:
            self._write_waiting()
            self._connection.close()

    def _write_waiting(self) -> None:
        """Write all that waits, or nothing of it."""
        if not self._waiting:
            return
        insert = "INSERT INTO events (row, kind, time, reason, detail) VALUES (?, ?, ?, ?, ?)"
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(insert, self._waiting)
            self._connection.execute("COMMIT")
        except sqlite3.OperationalError as error:  # full or read-only: the runs go on
            self.trouble = str(error)
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            return
        self._waiting.clear()
        self.trouble = ""

    def _select(self, query: str, values: tuple[str, ...]) -> list[Event]:
        with self._alone:
            found = self._connection.execute(query, values).fetchall()
        return [Event._make((*line[:5], json.loads(line[5]))) for line in found]

    def _choose_journal(self) -> None:
        """Write-ahead log; a rollback journal where the log cannot be kept."""
        kind = find_file_system(self.path.parent)
        journal = "" if kind in _NETWORK else self._set_journal("WAL")
        if journal == "wal":
            return
        self._set_journal("DELETE")
        where = f"a network file system ({kind})" if kind in _NETWORK else "this file system"
        self.notice = f"{self.path}: SQLite's write-ahead log cannot be used on {where}; a rollback journal is kept."

    def _set_journal(self, journal: str) -> str:
        try:
            return str(self._connection.execute(f"PRAGMA journal_mode={journal}").fetchone()[0])
        except sqlite3.OperationalError:
            return ""


def find_file_system(folder: Path) -> str:
    """Kind of the file system of a folder as Linux names it; empty where it cannot be known."""
    try:
        lines = Path("/proc/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    place = folder.resolve()
    mounts = [line.split()[1:3] for line in lines]
    # The longest mount point above the folder; blanks in it are written as \040.
    named = [(mount.replace("\\040", " "), kind) for mount, kind in mounts]
    return max(((m, kind) for m, kind in named if place.is_relative_to(m)), key=lambda pair: len(pair[0]))[1]
