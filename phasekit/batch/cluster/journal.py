"""The journal of one row: events that its task tells in the folder of the row, where the ledger cannot be shared.

SQLite's locks and shared memory do not hold between machines. Each task writes a file of its own, and the ledger is
written by one process, which collects the journals.
"""

import json
import os
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..ledger.events import STATES, Event, Ledger
from ..record import format_now

JOURNAL = "journal.jsonl"
#: Beginning of the number of an entry that was copied from the ledger.
_FROM_LEDGER = "ledger-"


class RowJournal:
    """Journal of one row, which one process at a time writes; in the place of a ledger."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / JOURNAL
        self.trouble = ""

    def append(self, row: str, kind: str, reason: str = "", detail: Mapping[str, Any] | None = None) -> None:
        """Append an event, which is on the disk when this returns; ``trouble`` says why it is not."""
        self._write({"id": uuid.uuid4().hex, "row": row, "kind": kind, "reason": reason, "detail": dict(detail or {})})

    def copy_state(self, event: Event) -> None:
        """Tell the last state of the ledger, unless the journal ends with it."""
        states = [entry["id"] for entry in _read_entries(self.path) if entry["kind"] in STATES]
        name = f"{_FROM_LEDGER}{event.number}"
        # An event that was collected from this journal is in it already.
        if states[-1:] not in ([name], [event.detail.get("task")]):
            words = {"id": name, "row": event.row, "kind": event.kind, "reason": event.reason, "detail": event.detail}
            self._write(words)

    def read_states(self) -> dict[str, Event]:
        """Last state of the row."""
        entries = [entry for entry in _read_entries(self.path) if entry["kind"] in STATES]
        return {entry["row"]: _make_event(number, entry) for number, entry in enumerate(entries, start=1)}

    def find_hash(self, path: str, key: tuple[int, ...]) -> None:
        """No hash is kept: a task has one row."""

    def save_hash(self, path: str, key: tuple[int, ...], sha256: str) -> None:
        """No hash is kept."""

    def _write(self, entry: dict[str, Any]) -> None:
        line = json.dumps(entry | {"time": format_now()}, default=str).encode() + b"\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a+b") as file:
                # A line that a kill cut short must not take this one with it.
                if file.tell() and not _ends_line(self.path):
                    line = b"\n" + line
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            self.trouble = error.strerror or str(error)


def collect_journals(folder: Path, ledger: Ledger) -> int:
    """Append to the ledger what the journals of all rows tell and it does not know yet; the number of events.

    It can be repeated, and stopped at any moment: each entry has a number, which the ledger keeps.
    """
    journals = sorted(folder.glob(f"*/{JOURNAL}"))
    if not journals:
        return 0
    known = {event.detail.get("task") for event in ledger.read_events()}
    count = 0
    for path in journals:
        for entry in _read_entries(path):
            # A journal speaks for the row in whose folder it lies.
            is_new = entry["row"] == path.parent.name and entry["id"] not in known
            if not is_new or entry["id"].startswith(_FROM_LEDGER):
                continue
            detail = entry["detail"] | {"task": entry["id"], "time": entry["time"]}
            ledger.append(entry["row"], entry["kind"], entry["reason"], detail)
            count += 1
    return count


def _read_entries(path: Path) -> Iterator[dict[str, Any]]:
    """Entries of a journal; a line that was cut short is left out."""
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError:
        return
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and {"id", "row", "kind", "reason", "detail", "time"} <= entry.keys():
            yield entry


def _ends_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _make_event(number: int, entry: Mapping[str, Any]) -> Event:
    return Event(number, entry["row"], entry["kind"], entry["time"], entry["reason"], entry["detail"])
