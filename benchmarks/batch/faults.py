"""Table of faults and outcomes: what a batch loses, writes wrongly, leaves stale, half or running after each fault.

``python -m benchmarks.batch.faults`` runs every fault into temporary folders and writes ``report/faults.json`` and
``report/faults.md``. After each fault the same batch is run again, and every row, file and process is looked at.
"""

import argparse
import contextlib
import hashlib
import os
import random
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import psutil

from benchmarks.harness.files import read_json, write_json
from benchmarks.harness.machine import describe_machine
from phasekit.batch import BatchRow, BatchSettings, run_batch
from phasekit.batch.cluster.collect import collect_array, prepare_array
from phasekit.batch.ledger import events, hashes
from phasekit.batch.ledger.events import Ledger
from phasekit.batch.ledger.lock import lock_folder
from phasekit.errors import ReadError
from tests.batch.rows.faults import WORK, Process, kill_at_random, make_rows
from tests.batch.tiny import notebook

from .report import compose_faults

REPORT = Path(__file__).parent / "report"
_SAVE = (
    'import xarray as xr\nxr.Dataset({"seed": ((), int(seed))}).to_netcdf(f"{output_dir}/result.nc", engine="h5netcdf")'
)
_READ = "import h5py\nwith h5py.File(input_path) as file: seed = int(file['seed'][()])"
#: Bad as long as there is a file `bad` beside the folders of the rows.
_BAD = 'import pathlib, time\nis_bad = seed == 1 and (pathlib.Path(output_dir).parent.parent / "bad").exists()\n'
_NAMES = ["plain", "two words", "größe µm", "it's", "日本", "a" * 100, "-".join("x" * 9), "semi;colon & more", "100 %"]


class Case:
    """One fault: a folder of its own, its rows, and what was seen."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.out = folder, folder / "out"
        self.orphans: list[str] = []
        self.said = ""

    def run(self, rows: list[BatchRow], **settings: Any) -> None:
        """Run rows in this process and note what is said of the first that failed."""
        outcome = run_batch(rows, self.out, BatchSettings(**{"workers": 2, **settings}))
        errors = [str(record["error"]) for record in outcome.records if record.get("error")]
        self.said = self.said or (errors[0] if errors else "")

    def inspect(self, rows: list[BatchRow], values: dict[str, int]) -> dict[str, Any]:
        """Look at every row after the batch was run again."""
        with contextlib.closing(Ledger(self.out)) as ledger:
            states = ledger.read_states()
        done = [row.name for row in rows if row.name in states and states[row.name].kind == "finished"]
        results = {name: self.out / name / "result.nc" for name in done}
        # What this process still has started would go on when it ends.
        left = psutil.Process().children(recursive=True)
        half = [path for path in self.out.rglob("*") if path.suffix in (".part", ".tmp")]
        return {
            "rows": len(rows),
            "lost": len(rows) - len(done),
            "wrong": sum(_differs(results[name], states[name].detail["results"]) for name in done),
            "stale": sum(_read_seed(results[name]) != values[name] for name in done),
            "half": len(half),
            "orphans": len(self.orphans) + len(left),
            "said": self.said[:160],
        }


def _differs(path: Path, known: dict[str, str]) -> bool:
    return not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != known.get(path.name)


def _read_seed(path: Path) -> int:
    import h5py

    with h5py.File(path, "r") as file:
        return int(file["seed"][()])


def _finish(case: Case, rows: list[BatchRow], values: dict[str, int] | None = None, **settings: Any) -> dict[str, Any]:
    """Run the rows again and look at them."""
    case.run(rows, **settings)
    return case.inspect(rows, values or {row.name: int(row.parameters["seed"]) for row in rows})


def kill_often(case: Case, kind: int) -> dict[str, Any]:
    """Kill the batch (0), a worker (1) or a kernel (2) at five random moments."""
    book = notebook(case.folder / "book.ipynb", WORK)
    hits = [kill_at_random(case.out, book, 2 + 2 * number, 300 + 3 * number + kind) for number in range(5)]
    case.said = f"{sum(map(bool, hits))} kills"
    last = Process(case.out, book, 10)
    last.wait()
    case.orphans = last.list_orphans()
    return _finish(case, make_rows(book, 10))


def be_bad(case: Case, cell: str, **limits: Any) -> dict[str, Any]:
    """One row of three is bad until its cause is removed."""
    book = notebook(case.folder / "book.ipynb", _BAD + cell, _SAVE)
    (case.folder / "bad").touch()
    case.run(make_rows(book, 3), **limits)
    (case.folder / "bad").unlink()
    return _finish(case, make_rows(book, 3), **limits)


def fill_the_disk(case: Case) -> dict[str, Any]:
    """A disk of three megabytes, which gets room again."""
    disk = case.folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)], check=True, capture_output=True)
    try:
        case.out = disk / "out"
        book = notebook(case.folder / "n.ipynb", 'open(f"{output_dir}/filling", "wb").write(bytes(1_200_000))', _SAVE)
        case.run(make_rows(book, 4))
        subprocess.run(["mount", "-o", "remount,size=60m", str(disk)], check=True)
        return _finish(case, make_rows(book, 4))
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def make_read_only(case: Case) -> dict[str, Any]:
    """A folder that cannot be written, and then can."""
    disk = case.folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=60m", "tmpfs", str(disk)], check=True, capture_output=True)
    try:
        case.out = disk / "out"
        case.out.mkdir()
        book = notebook(case.folder / "book.ipynb", _SAVE)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        try:
            case.run(make_rows(book, 2))
        except ReadError as error:
            case.said = f"refused before anything ran: {error.found}"
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        return _finish(case, make_rows(book, 2))
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def change_inputs(case: Case, content: Callable[[Path, bytes], None]) -> dict[str, Any]:
    """Three inputs; that of row 1 is spoiled or changed and then holds 41."""
    import h5py

    book = notebook(case.folder / "book.ipynb", _READ, _SAVE)
    rows, values = [], {}
    for number in range(3):
        path = case.folder / f"scan {number}.h5"
        with h5py.File(path, "w") as file:
            file["seed"] = number
        rows.append(BatchRow(path.stem, str(book), {"input_path": str(path)}))
        values[path.stem] = number
    spoiled = case.folder / "scan 1.h5"
    content(spoiled, spoiled.read_bytes())
    case.run(rows)
    with h5py.File(spoiled, "w") as file:
        file["seed"] = 41
    return _finish(case, rows, values | {"scan 1": 41})


def run_two_at_once(case: Case) -> dict[str, Any]:
    """A second batch into a folder in which one runs."""
    book = notebook(case.folder / "book.ipynb", _SAVE)
    case.out.mkdir()
    with lock_folder(case.out):
        try:
            case.run(make_rows(book, 3))
        except ReadError as error:
            case.said = f"refused: {error.found}".split(" (process")[0]
    return _finish(case, make_rows(book, 3))


def set_the_clock_back(case: Case) -> dict[str, Any]:
    """The clock is set to 1999 between two runs, and an input changes meanwhile."""

    def change(path: Path, data: bytes) -> None:
        os.utime(path, (915148700, 915148700))

    with (
        mock.patch.object(events, "format_now", return_value="1999-01-01T00:00:00+00:00"),
        mock.patch.object(hashes.time, "time", return_value=915148800.0),
    ):
        return change_inputs(case, change)


def use_odd_names(case: Case) -> dict[str, Any]:
    """Names with blanks, quotes and letters of many alphabets."""
    book = notebook(case.folder / "ein heft für's µ.ipynb", _SAVE)
    return _finish(case, [BatchRow(name, str(book), {"seed": number}) for number, name in enumerate(_NAMES)])


def run_many(case: Case, n_rows: int) -> dict[str, Any]:
    """Many tiny rows, a batch that is killed on the way, and the rest."""
    book = notebook(case.folder / "book.ipynb", _SAVE)
    batch = Process(case.out, book, n_rows)
    time.sleep(min(20.0, n_rows / 4))
    batch.kill("parent")
    batch.wait()
    case.orphans = batch.list_orphans()
    return _finish(case, make_rows(book, n_rows))


def kill_array_tasks(case: Case) -> dict[str, Any]:
    """All tasks of a SLURM array run at once by bash and are killed at a random moment, three times."""
    book = notebook(case.folder / "book.ipynb", WORK)
    rows, draw = make_rows(book, 4), random.Random(7)
    for number in range(4):
        prepare_array(rows, case.out, BatchSettings())
        script = str(case.out / "slurm_rows_1.sh")
        tasks = [subprocess.Popen(["bash", script], env=os.environ | {"SLURM_ARRAY_TASK_ID": str(n)}) for n in range(4)]
        if number < 3:
            before, end = _measure_journals(case.out), time.monotonic() + 60
            while _measure_journals(case.out) == before and time.monotonic() < end:
                time.sleep(0.02)
            time.sleep(draw.uniform(0, 2))
            for task in tasks:
                task.kill()
        for task in tasks:
            task.wait()
        case.said += f"{'; then ' if case.said else ''}{collect_array(case.out).summarise()}"
    return case.inspect(rows, {row.name: int(row.parameters["seed"]) for row in rows})


def _measure_journals(out: Path) -> int:
    return sum(path.stat().st_size for path in out.glob("*/journal.jsonl"))


def list_faults(n_rows: int) -> dict[str, Callable[[Case], dict[str, Any]]]:
    """Every fault by its name in the table."""
    eat = "held = []\nwhile is_bad: held.append(b'1' * 50_000_000); time.sleep(0.02)"
    found: dict[str, Callable[[Case], dict[str, Any]]] = {
        "kill -9 of the batch, 5 times": lambda case: kill_often(case, 0),
        "kill -9 of a worker, 5 times": lambda case: kill_often(case, 1),
        "kill -9 of a kernel, 5 times": lambda case: kill_often(case, 2),
        "input cut in the middle": lambda case: change_inputs(case, _cut),
        "input changed between two runs": lambda case: change_inputs(case, lambda path, data: None),
        "notebook raises": lambda case: be_bad(case, "if is_bad: 1 / 0"),
        "notebook loops": lambda case: be_bad(case, "while is_bad: pass", time_s=10.0),
        "notebook eats memory": lambda case: be_bad(case, eat, memory_gb=1.2),
        "kill -9 of SLURM tasks, three rounds": kill_array_tasks,
        "two batches in one folder": run_two_at_once,
        "clock set back to 1999": set_the_clock_back,
        "names with blanks, quotes, other alphabets": use_odd_names,
        f"{n_rows} tiny rows, killed once": lambda case: run_many(case, n_rows),
    }
    if os.name == "posix" and os.geteuid() == 0:
        found |= {"full disk": fill_the_disk, "read-only folder": make_read_only}
    return found


def _cut(path: Path, data: bytes) -> None:
    path.write_bytes(data[: len(data) // 2])


def main() -> None:
    """Run the faults and write the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=1000, help="rows of the last fault")
    parser.add_argument("--only", default="", help="faults whose name holds this text; the others stay as stored")
    options = parser.parse_args()
    rows = []
    stored = {row["fault"]: row for row in read_json(REPORT / "faults.json").get("rows", [])} if options.only else {}
    for name, run in list_faults(options.rows).items():
        if options.only in name:
            with tempfile.TemporaryDirectory() as folder:
                rows.append({"fault": name, **run(Case(Path(folder).resolve()))})
                # What is said names no folder of this machine.
                rows[-1]["said"] = rows[-1]["said"].replace(f"{Path(folder).resolve()}/", "")
            print(rows[-1], flush=True)
    found = stored | {row["fault"]: row for row in rows}
    ordered = [found[name] for name in dict.fromkeys((*list_faults(options.rows), *found)) if name in found]
    results = {"rows": ordered, "machine": describe_machine(["phasekit", "papermill", "ipykernel", "filelock"])}
    REPORT.mkdir(exist_ok=True)
    write_json(REPORT / "faults.json", results)
    (REPORT / "faults.md").write_text("\n".join(compose_faults(results)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
