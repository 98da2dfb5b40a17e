"""Rows on a dask cluster: the same ledger and page, a worker that dies, Ctrl-C, a scheduler that is not there."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from phasekit.batch.ledger.events import Ledger
from phasekit.batch.ledger.lock import is_row_locked, lock_row
from phasekit.batch.rows.row import BatchRow, BatchSettings
from phasekit.batch.rows.schedule import run_batch
from phasekit.errors import ReadError

from ..tiny import SAVE, notebook
from .faults import Process, check_all_done, make_rows, wait_for_rows

distributed = pytest.importorskip("distributed")
pytestmark = [pytest.mark.notebook, pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")]

WRITE = 'result["seed"] = seed\nresult.to_netcdf(f"{output_dir}/result.nc", engine="h5netcdf")'
WAIT = "import time; time.sleep(600)"
#: The first time it kills the dask worker: the parent of the worker process of its row.
DEADLY = """
import os, pathlib, psutil, time
mark = pathlib.Path(output_dir).parent / f"killed {seed}"
if not mark.exists():
    mark.touch()
    psutil.Process(os.getppid()).parent().parent().kill()
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def cluster():
    """Two dask workers that are processes, with one thread each."""
    # They are asked to import this project, which need not be installed.
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as made:
        yield made


def settings_for(cluster, **more):
    return BatchSettings(scheduler=cluster.scheduler_address, **more)


def test_rows_on_a_cluster_give_the_same_ledger_page_and_failures(cluster, tmp_path):
    book, out = notebook(tmp_path / "book.ipynb", SAVE, WRITE), tmp_path / "out"
    cells = {"raises": (SAVE, "1 / 0"), "loops": ("while True: pass",)}
    cells["killed"] = ("import os; os.kill(os.getpid(), 9)",)
    books = {name: str(notebook(tmp_path / f"{name}.ipynb", *cells[name])) for name in cells}
    wrong = [BatchRow(name, books[name], time_s=2.0 if name == "loops" else None) for name in cells]
    with lock_row(out / "held"):
        rows = [*make_rows(book, 3), *wrong, BatchRow("held", str(book), {"seed": 7})]
        outcome = run_batch(rows, out, settings_for(cluster, retries=1))
    said = {row.name: record for row, record in zip(rows, outcome.records, strict=True)}
    assert [said[f"row {number}"]["status"] for number in range(3)] == ["ok"] * 3
    assert "ZeroDivisionError" in said["raises"]["error"]
    assert "2 s, its limit of time" in said["loops"]["error"]
    assert "DeadKernel" in said["killed"]["error"]
    assert [said[name]["attempts"] for name in cells] == [1, 1, 2]
    # A row that another process runs is neither run nor written.
    assert f"another process runs now (process {os.getpid()}" in said["held"]["error"]
    assert not (out / "held/run.json").exists()
    assert not list(out.rglob(".attempt-*"))
    # The same rows on this machine: they are done.
    here = run_batch(make_rows(book, 3), out, BatchSettings())
    assert all(record["skipped"] for record in here.records)


@pytest.mark.slow
@pytest.mark.parametrize("retries", [0, 1])
def test_a_worker_that_dies_costs_its_row_one_attempt(cluster, tmp_path, retries):
    book = notebook(tmp_path / "book.ipynb", SAVE, DEADLY, WRITE)
    outcome = run_batch(make_rows(book, 2), tmp_path / "out", settings_for(cluster, retries=retries))
    said = [(record["status"], record["error"]) for record in outcome.records]
    if retries:
        assert [status for status, _ in said] == ["ok", "ok"], said
        assert all("the cluster's worker" in " ".join(record["why"]) for record in outcome.records)
        check_all_done(tmp_path / "out", 2)
    else:
        assert [status for status, _ in said] == ["failed", "failed"]
        assert all("died or was lost" in error for _, error in said)


@pytest.mark.slow
def test_ctrl_c_and_a_kill_of_the_batch_end_its_rows_on_the_cluster(cluster, tmp_path):
    book, out = notebook(tmp_path / "book.ipynb", WAIT), tmp_path / "out"
    for number, code in ((signal.SIGINT, 130), (signal.SIGKILL, -9)):
        batch = Process(out, book, 3, PHASEKIT_TEST_SCHEDULER=cluster.scheduler_address)
        wait_for_rows(out, 2, batch)
        end = time.monotonic() + 30
        while time.monotonic() < end and not all(is_row_locked(out / f"row {n}") for n in range(2)):
            time.sleep(0.05)
        batch.process.send_signal(number)
        assert batch.wait() == code, batch.log.read_text(encoding="utf-8")
        end = time.monotonic() + 10
        while time.monotonic() < end and (left := [n for n in range(3) if is_row_locked(out / f"row {n}")]):
            time.sleep(0.05)
        assert not left, "rows of a batch that ended go on"
    ledger = Ledger(out)
    assert {event.kind for event in ledger.read_events()} >= {"queued", "started", "interrupted"}
    ledger.close()


def test_a_scheduler_that_is_not_there_is_told_before_anything_starts(tmp_path, monkeypatch):
    from phasekit.batch.cluster import client

    monkeypatch.setattr(client, "ANSWER_S", 0.5)
    book = notebook(tmp_path / "book.ipynb", SAVE, WRITE)
    with pytest.raises(ReadError, match=r"no scheduler that answers .*tcp://HOST:8786"):
        run_batch(make_rows(book, 1), tmp_path / "out", BatchSettings(scheduler="tcp://127.0.0.1:9"))
    with pytest.raises(ReadError, match="no scheduler that answers"):
        run_batch(make_rows(book, 1), tmp_path / "out", BatchSettings(scheduler="nonsense"))
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_scheduler_that_is_lost_leaves_rows_queued(tmp_path):
    book = notebook(tmp_path / "book.ipynb", WAIT)
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0") as made:
        distributed_settings = {"distributed.comm.timeouts.connect": "1s"}
        import dask

        with dask.config.set(distributed_settings):
            timer = threading.Timer(0, _close_when_running, [made, tmp_path / "out/row 0"])
            timer.start()
            outcome = run_batch(make_rows(book, 2), tmp_path / "out", settings_for(made))
            timer.join()
    assert outcome.exit_code == 1
    assert [record["status"] for record in outcome.records] == ["interrupted", "queued"]
    assert "was lost" in " ".join(outcome.notices)


def _close_when_running(made, folder: Path):
    end = time.monotonic() + 30
    while time.monotonic() < end and not is_row_locked(folder):
        time.sleep(0.05)
    made.close()


def test_without_distributed_the_message_names_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ReadError, match="pip install distributed=="):
        run_batch([], tmp_path / "out", BatchSettings(scheduler="tcp://127.0.0.1:9"))


@pytest.mark.parametrize("fault", ["folder", "versions"])
def test_a_cluster_that_cannot_run_the_rows_is_refused(cluster, tmp_path, monkeypatch, fault):
    from phasekit.batch.cluster import client

    book = notebook(tmp_path / "book.ipynb", SAVE, WRITE)
    if fault == "versions":
        monkeypatch.setattr(client, "read_versions", lambda: {"numpy": "0.1"})
        expected = r"numpy .*, and 0\.1 where the batch was started"
    else:
        monkeypatch.setattr(client.Path, "resolve", lambda path: Path("/not/there"))
        expected = "does not see the folder"
    with pytest.raises(ReadError, match=expected):
        client_check(client, cluster, tmp_path)
    assert book.exists()


def client_check(client, cluster, folder):
    with client.open_cluster(cluster.scheduler_address, folder):
        pass
