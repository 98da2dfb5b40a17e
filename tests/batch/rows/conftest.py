"""Batches without a kernel: a worker that writes what its inputs decide, in milliseconds."""

import hashlib
import json
from pathlib import Path

import pytest

from phasekit.batch.record import write_record
from phasekit.batch.rows import schedule
from phasekit.batch.rows.row import BatchRow, BatchSettings
from phasekit.batch.rows.schedule import run_batch
from phasekit.batch.runner import RESULT, describe_failure
from phasekit.batch.workers.pool import Outcome

from ..tiny import SAVE, notebook


class Writer:
    """In the place of a worker: the result is the text of the parameters and of the input."""

    def __init__(self):
        self.rows = []
        self.crashes = {}

    def run(self, row, limits, stop):
        self.rows.append(Path(row["folder"]).name)
        folder = Path(row["folder"])
        if row["parameters"].get("seed") == 13:
            return Outcome(describe_failure(row, "cell 1: ValueError: an unlucky seed"))
        if self.crashes.get(folder.name, 0) > 0:
            self.crashes[folder.name] -= 1
            return Outcome(None, crash="its kernel was killed or crashed")
        folder.mkdir(parents=True, exist_ok=True)
        given = row["parameters"].get("input_path")
        text = json.dumps(row["parameters"]) + (Path(given).read_text(encoding="utf-8") if given else "")
        (folder / RESULT).write_text(text, encoding="utf-8")
        record = {"workflow": row["workflow"], "status": "ok", "error": None, "parameters": row["parameters"]}
        record |= {"seconds": 0.1, "figures": [], "numbers": {"map": "2 x 2 pixels", "ok": "75.0 % of pixels"}}
        record["results"] = {RESULT: hashlib.sha256(text.encode()).hexdigest()}
        write_record(folder, record)
        return Outcome(record)

    def close(self):
        pass


@pytest.fixture
def writer(monkeypatch):
    """The worker of every batch of a test; ``rows`` has the names of those that it ran."""
    made = Writer()
    monkeypatch.setattr(schedule, "WorkerProcess", lambda environment: made)
    return made


@pytest.fixture
def book(tmp_path):
    return notebook(tmp_path / "book.ipynb", SAVE)


@pytest.fixture
def batch(tmp_path, writer, book):
    """Run rows of the given parameters; the names that were run, and the outcome."""

    def run(*parameters, **settings):
        rows = [BatchRow(f"row {number}", str(book), values) for number, values in enumerate(parameters)]
        writer.rows.clear()
        outcome = run_batch(rows, tmp_path / "out", BatchSettings(**settings))
        return list(writer.rows), outcome

    return run
