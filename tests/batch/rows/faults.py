"""A batch in a process of its own that can be killed, and what is left of it.

``python -m tests.batch.rows.faults OUT NOTEBOOK ROWS WORKERS`` runs one.
"""

import hashlib
import json
import os
import random
import subprocess
import sys
import time
import uuid
from pathlib import Path

import psutil

from phasekit.batch.ledger.events import Ledger
from phasekit.batch.rows.row import BatchRow, BatchSettings
from phasekit.batch.rows.schedule import run_batch

ROOT = Path(__file__).resolve().parents[3]
#: In the environment of a batch and of all that it starts.
MARK = "PHASEKIT_TEST_BATCH"
WORK = """
import subprocess, sys, time
import xarray as xr, phasekit as pk
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
time.sleep(0.2)
pk.io.save(xr.Dataset({"seed": ((), seed)}), f"{output_dir}/result.nc")
"""


class Process:
    """A batch that runs."""

    def __init__(self, out: Path, notebook: Path, n_rows: int, workers: int = 2, **environment: str) -> None:
        self.mark = uuid.uuid4().hex
        words = [sys.executable, "-m", "tests.batch.rows.faults", str(out), str(notebook), str(n_rows), str(workers)]
        given = os.environ | {MARK: self.mark, "PYTHONPATH": str(ROOT)} | environment
        self.log = out.parent / f"{self.mark}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(words, cwd=ROOT, env=given, stdout=log, stderr=log)

    def find(self, kind: str) -> psutil.Process | None:
        """The batch (``parent``), one of its workers, or a kernel."""
        chosen = [psutil.Process(self.process.pid)]
        for _ in range({"parent": 0, "worker": 1, "row": 2, "kernel": 3}[kind]):
            try:
                chosen = [child for process in chosen for child in process.children()]
            except psutil.Error:
                return None
        # The kernel is the first child of its row; what the notebook starts is a child of the kernel.
        return chosen[0] if chosen else None

    def kill(self, kind: str, timeout_s: float = 60) -> bool:
        """Kill one of its processes with signal 9; whether there was one."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end and self.process.poll() is None:
            try:
                found = self.find(kind)
                if found is not None:
                    found.kill()
                    return True
            except psutil.Error:
                pass
            time.sleep(0.01)
        return False

    def wait(self, timeout_s: float = 300) -> int:
        """Exit code."""
        return self.process.wait(timeout_s)

    def list_orphans(self) -> list[str]:
        """Processes that it has left, after the time that the system takes to end them."""
        end = time.monotonic() + 10
        while time.monotonic() < end and (found := list(self._list_marked())):
            time.sleep(0.1)
        return found

    def _list_marked(self):
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARK) == self.mark and process.status() != psutil.STATUS_ZOMBIE:
                    yield f"{process.pid} {process.cmdline()}"
            except psutil.Error:
                continue


def wait_for_rows(out: Path, count: int, batch: Process, timeout_s: float = 120) -> None:
    """Wait until a batch has told the ledger of so many further starts."""
    end = time.monotonic() + timeout_s
    before = count_starts(out)
    while time.monotonic() < end and batch.process.poll() is None and count_starts(out) < before + count:
        time.sleep(0.02)


def count_starts(out: Path) -> int:
    if not (out / "ledger.sqlite").exists():
        return 0
    ledger = Ledger(out)
    found = sum(event.kind == "started" for event in ledger.read_events())
    ledger.close()
    return found


def kill_at_random(out: Path, notebook: Path, n_rows: int, seed: int) -> str:
    """Run a batch and kill the batch, a worker or a kernel after a random time; what was killed, or nothing."""
    draw = random.Random(seed)
    kind = ("parent", "worker", "kernel")[seed % 3]
    batch = Process(out, notebook, n_rows)
    wait_for_rows(out, draw.choice([0, 1, 1, 2]), batch)
    time.sleep(draw.uniform(0, 1))
    hit = batch.kill(kind)
    code = batch.wait()
    assert not hit or code in ((-9,) if kind == "parent" else (0, 1)), (seed, kind, code)
    assert not batch.list_orphans(), (seed, kind)
    return kind if hit else ""


def check_all_done(out: Path, n_rows: int) -> None:
    """All rows are done, none twice; no half file; the ledger says what the files are."""
    import phasekit as pk

    ledger = Ledger(out)
    states = ledger.read_states()
    finished = [event.row for event in ledger.read_events() if event.kind == "finished"]
    ledger.close()
    assert sorted(states) == sorted(f"row {number}" for number in range(n_rows))
    assert sorted(finished) == sorted(states), "a row that was done was run again, or one is missing"
    for number in range(n_rows):
        result = out / f"row {number}/result.nc"
        known = states[f"row {number}"].detail["results"]["result.nc"]
        assert hashlib.sha256(result.read_bytes()).hexdigest() == known
        assert int(pk.io.load(result)["seed"]) == number
        assert json.loads((result.parent / "run.json").read_text(encoding="utf-8"))["status"] == "ok"
    half = [path for path in out.rglob("*") if path.suffix in (".part", ".tmp")]
    assert not half
    assert f"{n_rows} of {n_rows} runs ended well" in (out / "index.html").read_text(encoding="utf-8")


def make_rows(notebook: Path, n_rows: int) -> list[BatchRow]:
    return [BatchRow(f"row {number}", str(notebook), {"seed": number}) for number in range(n_rows)]


if __name__ == "__main__":
    # A cluster by its address, where the test has one.
    settings = BatchSettings(workers=int(sys.argv[4]), scheduler=os.environ.get("PHASEKIT_TEST_SCHEDULER", ""))
    outcome = run_batch(make_rows(Path(sys.argv[2]), int(sys.argv[3])), sys.argv[1], settings, progress=True)
    sys.stderr.write(f"{outcome.summarise()} {outcome.notices}\n")
    sys.exit(outcome.exit_code)
