"""Rows run in processes of their own: what one does to itself, the next one does not see."""

import os
import signal
import subprocess
import time

import pytest

from phasekit.batch.rows.row import BatchRow, BatchSettings
from phasekit.batch.rows.schedule import run_batch
from phasekit.batch.workers.server import NO_FORK
from phasekit.errors import ReadError

from ..tiny import DRAW, SAVE, notebook

pytestmark = pytest.mark.notebook
#: Without dask, which `pk.io.save` would import in this process, too.
WRITE = 'result.to_netcdf(f"{output_dir}/result.nc", engine="h5netcdf")'
LEAK = """
import builtins, os, sys, warnings
import matplotlib, numpy as np
leaked = builtins.leaked = pk.leaked = 1
os.environ["LEAKED"] = "1"
os.chdir("/")
matplotlib.rcParams["image.cmap"] = "jet"
np.seterr(all="raise")
sys.path.insert(0, "/leaked")
warnings.simplefilter("ignore")
xr.set_options(keep_attrs=True)
sys.modules["leaked"] = builtins
"""
CLEAN = """
import builtins, os, pathlib, sys
import matplotlib, numpy as np
assert "leaked" not in globals() and not hasattr(builtins, "leaked") and not hasattr(pk, "leaked")
assert "LEAKED" not in os.environ and os.getcwd() == str(pathlib.Path(input_path).parent), os.getcwd()
assert matplotlib.rcParams["image.cmap"] == "viridis" and np.geterr()["divide"] == "warn"
assert "/leaked" not in sys.path and "leaked" not in sys.modules
assert xr.get_options()["keep_attrs"] != True
"""
RANDOM = "import random, numpy as np; result.attrs['drawn'] = [random.random(), np.random.rand()]"
ONCE = """
mark = pathlib.Path(input_path).parent / "crashed"
if not mark.exists():
    mark.touch()
    import os; os.kill(os.getpid(), 9)
"""
CELLS = {
    "leaks": (SAVE, LEAK, WRITE),
    "clean": (SAVE, CLEAN, WRITE),
    "first": (SAVE, RANDOM, DRAW, "print('seen'); import os; os.write(2, b'written to the error output')", WRITE),
    "second": (SAVE, RANDOM, WRITE),
    "raises": (SAVE, "1 / 0", WRITE),
    "loops": ("while True: pass",),
    "eats": ("import time\nheld = []\nwhile True: held.append(b'1' * 50_000_000); time.sleep(0.02)",),
    "killed": ("import os; os.kill(os.getpid(), 9)",),
    "crashes": ("import ctypes; ctypes.string_at(0)",),
    "once": (SAVE, ONCE, WRITE),
    "größe µm": (SAVE, WRITE),
}


def make_rows(folder, names, **limits):
    rows = []
    for name in names:
        book = notebook(folder / f"{name}.ipynb", *CELLS[name])
        rows.append(BatchRow(name, str(book), {"input_path": str(book)}, inputs=(), **limits))
    return rows


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """Folder and records of one batch with one worker."""
    folder = tmp_path_factory.mktemp("faults").resolve()
    rows = make_rows(folder, [name for name in CELLS if name not in ("loops", "eats")])
    rows += make_rows(folder, ["loops"], time_s=2.0) + make_rows(folder, ["eats"], memory_gb=0.8)
    rows += [BatchRow("after", str(folder / "second.ipynb"), {"seed": 5}, inputs=())]
    settings = BatchSettings(workers=1, retries=1)
    outcome = run_batch(rows, folder / "out", settings)
    return folder / "out", {row.name: record for row, record in zip(rows, outcome.records, strict=True)}


def test_what_a_row_changes_in_its_process_is_gone_in_the_next(ended):
    _, records = ended
    assert [records[name]["error"] for name in ("leaks", "clean")] == [None, None]


def test_rows_draw_different_random_numbers(ended):
    import xarray as xr

    folder, records = ended
    paths = [folder / name / "result.nc" for name in ("first", "second", "after")]
    drawn = [xr.load_dataset(path, engine="h5netcdf").attrs["drawn"] for path in paths]
    assert len({float(number) for pair in drawn for number in pair}) == 6
    assert records["after"]["status"] == "ok"


def test_faults_are_told_and_the_next_rows_run(ended):
    _, records = ended
    said = {name: (records[name]["status"], records[name]["error"]) for name in CELLS}
    assert said["raises"][0] == "failed"
    assert "ZeroDivisionError" in said["raises"][1]
    assert "2 s, its limit of time" in said["loops"][1]
    assert "its limit of memory of 0.8 GB" in said["eats"][1]
    assert all("DeadKernel" in said[name][1] for name in ("killed", "crashes"))
    assert {name for name, (status, _) in said.items() if status == "failed"} == {
        *("raises", "loops", "eats", "killed", "crashes")
    }


def test_only_crashes_are_tried_again(ended):
    _, records = ended
    attempts = {name: record["attempts"] for name, record in records.items()}
    assert {name for name, number in attempts.items() if number == 2} == {"killed", "crashes", "once"}
    assert records["once"]["status"] == "ok"
    assert "tried again: its kernel was killed or crashed" in records["once"]["why"]


def test_a_row_leaves_log_traceback_and_a_small_picture(ended):
    folder, _ = ended
    assert "written to the error output" in (folder / "first/log.txt").read_text(encoding="utf-8") + (
        folder / "first/notebook.ipynb"
    ).read_text(encoding="utf-8")
    assert "ZeroDivisionError" in (folder / "raises/traceback.txt").read_text(encoding="utf-8")
    assert (folder / "first/.thumbnail.png").stat().st_size < (folder / "first/figure_1_status.png").stat().st_size
    assert not list(folder.rglob("notebook.html"))
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert page.index("raises") < page.index("clean")
    assert "gr%C3%B6%C3%9Fe%20%C2%B5m/result.nc" in page


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_without_a_fork_rows_get_a_new_python(tmp_path, monkeypatch):
    monkeypatch.setenv(NO_FORK, "1")
    rows = make_rows(tmp_path.resolve(), ["killed", "clean"]) + make_rows(tmp_path.resolve(), ["loops"], time_s=20.0)
    outcome = run_batch(rows, tmp_path / "out", BatchSettings(workers=2, html=True))
    assert [record["status"] for record in outcome.records] == ["failed", "ok", "failed"]
    assert "DeadKernel" in outcome.records[0]["error"]
    assert "limit of time" in outcome.records[2]["error"]
    assert (tmp_path / "out/clean/notebook.html").is_file()


@pytest.fixture
def small_disk(tmp_path):
    """A disk of three megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    if os.name != "posix" or os.geteuid() != 0 or subprocess.run(words, check=False, capture_output=True).returncode:
        pytest.skip("only root mounts a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_full_disk_fails_rows_and_ends_the_batch_in_order(small_disk, tmp_path, workers):
    fill = 'open(f"{output_dir}/filling.bin", "wb").write(bytes(1_200_000))'
    book = notebook(tmp_path / "fills.ipynb", SAVE, fill, WRITE)
    rows = [BatchRow(f"row {number}", str(book), {"seed": number}) for number in range(4)]
    outcome = run_batch(rows, small_disk / "out", BatchSettings(workers=workers))
    states = [record["status"] for record in outcome.records]
    assert outcome.exit_code == 1
    if not workers:  # of two rows at a time either may find the disk full
        assert states[0] == "ok"
    assert states.count("failed") >= 2
    errors = " ".join(record["error"] for record in outcome.records if record["error"])
    assert "No space left on device" in errors
    assert "running" not in outcome.summarise()
    for number in range(4):  # room again
        (small_disk / f"out/row {number}/filling.bin").unlink(missing_ok=True)
    subprocess.run(["mount", "-o", "remount,size=60m", str(small_disk)], check=True)
    outcome = run_batch(rows, small_disk / "out", BatchSettings(workers=2))
    assert outcome.exit_code == 0, [record["error"] for record in outcome.records]


def test_a_folder_that_cannot_be_made_fails_its_row_only(tmp_path):
    book = notebook(tmp_path / "n.ipynb", SAVE, WRITE)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/one").write_text("a file in its place", encoding="utf-8")
    outcome = run_batch([BatchRow(name, str(book)) for name in ("one", "two")], tmp_path / "out")
    assert [record["status"] for record in outcome.records] == ["failed", "ok"]
    assert "FileExistsError" in outcome.records[0]["error"]


def test_a_disk_that_is_read_only_is_refused_at_once(small_disk, tmp_path):
    (small_disk / "out").mkdir()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    book = notebook(tmp_path / "n.ipynb", SAVE, WRITE)
    with pytest.raises(ReadError, match="give a folder to write to"):
        run_batch([BatchRow("one", str(book))], small_disk / "out")


def test_a_worker_that_was_killed_between_rows_is_replaced(tmp_path):
    from phasekit.batch.workers.pool import Limits, WorkerProcess
    from phasekit.batch.workers.stop import Stop

    (row,) = make_rows(tmp_path, ["second"])
    words = {"workflow": row.workflow, "folder": str(tmp_path / "out"), "parameters": {}}
    worker = WorkerProcess(dict(os.environ))
    worker.run(words, Limits(), Stop())
    os.kill(worker._process.pid, signal.SIGKILL)
    worker._process.wait()
    assert worker.run(words, Limits(), Stop()).record["status"] == "ok"
    worker.close()


def test_html_is_written_beside_the_rows_and_later_where_it_is_missing(tmp_path):
    rows = make_rows(tmp_path.resolve(), ["second", "raises"])
    run_batch(rows[:1], tmp_path / "out", BatchSettings())
    assert not (tmp_path / "out/second/notebook.html").exists()
    outcome = run_batch(rows, tmp_path / "out", BatchSettings(html=True))
    assert [record["status"] for record in outcome.records] == ["ok", "failed"]
    assert outcome.records[0]["skipped"]
    assert not outcome.notices
    for name in ("second", "raises"):
        assert "</html>" in (tmp_path / "out" / name / "notebook.html").read_text(encoding="utf-8")
    page = (tmp_path / "out/index.html").read_text(encoding="utf-8")
    assert 'href="second/notebook.html"' in page


def test_html_that_cannot_be_written_is_told(tmp_path):
    from phasekit.batch.workers.pages import PageWriter

    writer = PageWriter()
    (tmp_path / "notebook.ipynb").write_text("no notebook", encoding="utf-8")
    writer.ask(tmp_path)
    while writer.count_left():
        time.sleep(0.02)
    writer.close()
    assert len(writer.faults) == 1
    assert not (tmp_path / "notebook.html").exists()
