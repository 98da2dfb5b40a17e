"""A row is done when its record, its result, its inputs, its parameters, its notebook and the versions say so."""

import os
import shutil
import sqlite3
import time

import pytest

from phasekit.batch.ledger import events, hashes
from phasekit.batch.ledger.events import Ledger
from phasekit.batch.ledger.inputs import list_inputs
from phasekit.batch.rows import job

from ..tiny import SAVE, WRITE, notebook


@pytest.fixture
def scan(tmp_path):
    path = tmp_path / "scan.h5"
    path.write_text("first", encoding="utf-8")
    old = time.time() - 1000  # not a file that is being written
    os.utime(path, (old, old))
    return path


def why(outcome):
    return outcome.records[0]["why"]


def test_what_is_done_is_left_alone(batch, scan):
    assert batch({"input_path": str(scan)})[0] == ["row 0"]
    names, outcome = batch({"input_path": str(scan)})
    assert (names, outcome.exit_code, outcome.records[0]["skipped"]) == ([], 0, True)
    assert "1 done before" in outcome.summarise()
    names, outcome = batch({"input_path": str(scan)}, resume=False)
    assert (names, why(outcome)) == (["row 0"], ["asked for again"])


def test_a_changed_input_runs_again(batch, scan, tmp_path):
    batch({"input_path": str(scan)})
    scan.write_text("other", encoding="utf-8")
    names, outcome = batch({"input_path": str(scan)})
    assert (names, why(outcome)) == (["row 0"], ["input scan.h5 changed"])
    assert "other" in (tmp_path / "out/row 0/result.nc").read_text(encoding="utf-8")


def test_an_input_that_was_only_touched_or_copied_does_not(batch, scan):
    batch({"input_path": str(scan)})
    scan.touch()
    assert batch({"input_path": str(scan)})[0] == []
    shutil.copy(scan, f"{scan}.new")
    os.replace(f"{scan}.new", scan)
    assert batch({"input_path": str(scan)})[0] == []


def test_a_folder_that_was_moved_is_done_where_it_is_now(batch, scan, tmp_path):
    (tmp_path / "data/refs").mkdir(parents=True)
    for name in ("a.cif", "b.cif", "refs/one.csv"):
        (tmp_path / "data" / name).write_text(name, encoding="utf-8")
    os.replace(scan, tmp_path / "data/scan.h5")

    def given(place, *cifs):
        base = tmp_path / place
        paths = [str(base / name) for name in (*(cifs or ("a.cif", "b.cif")), "refs")]
        return {"input_path": str(base / "scan.h5"), "cif_paths": paths}

    assert batch(given("data"))[0] == ["row 0"]
    os.replace(tmp_path / "data", tmp_path / "moved")
    assert batch(given("moved"))[0] == []
    # The order of files is a parameter, and so is their name.
    assert why(batch(given("moved", "b.cif", "a.cif"))[1])[0].startswith("cif_paths [")
    assert batch(given("moved"))[0] == ["row 0"]
    os.replace(tmp_path / "moved", tmp_path / "again")
    (tmp_path / "again/b.cif").write_text("other", encoding="utf-8")
    found = why(batch(given("again"))[1])
    assert found[0] == "input b.cif changed"
    (tmp_path / "again/refs/one.csv").unlink()
    assert why(batch(given("again"))[1])[0] == "input one.csv is gone"


def test_a_change_that_keeps_size_and_time_is_seen(batch, scan):
    batch({"input_path": str(scan)})
    before = scan.stat()
    scan.write_text("FIRST", encoding="utf-8")
    os.utime(scan, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert why(batch({"input_path": str(scan)})[1]) == ["input scan.h5 changed"]


def test_a_missing_or_changed_result_runs_again(batch, tmp_path):
    batch({"seed": 1})
    (tmp_path / "out/row 0/result.nc").unlink()
    assert why(batch({"seed": 1})[1]) == ["result.nc is missing"]
    (tmp_path / "out/row 0/result.nc").write_text("half", encoding="utf-8")
    assert why(batch({"seed": 1})[1]) == ["result.nc is not what the run wrote"]
    assert batch({"seed": 1})[0] == []


def test_parameters_notebook_and_versions_count(batch, book, monkeypatch):
    batch({"seed": 1})
    assert why(batch({"seed": 2})[1]) == ["seed 1 -> 2"]
    assert why(batch({"seed": 2, "threshold": 0.5})[1]) == ["threshold the notebook's own -> 0.5"]
    notebook(book, SAVE, WRITE)
    assert why(batch({"seed": 2, "threshold": 0.5})[1]) == ["the notebook changed"]
    monkeypatch.setattr(job, "read_versions", lambda: {"phasekit": "9.0", "numpy": "2.4.6"})
    found = why(batch({"seed": 2, "threshold": 0.5})[1])
    assert any(reason.startswith("phasekit ") and reason.endswith(" -> 9.0") for reason in found)


def test_a_row_that_failed_or_was_interrupted_runs_again(batch, tmp_path):
    names, outcome = batch({"seed": 13})
    assert (names, outcome.exit_code) == (["row 0"], 1)
    assert why(batch({"seed": 13})[1]) == ["failed before: cell 1: ValueError: an unlucky seed"]
    batch({"seed": 1})
    ledger = Ledger(tmp_path / "out")
    ledger.append("row 0", "started", "", {"process": 4711})  # and then its batch was killed
    ledger.close()
    names, outcome = batch({"seed": 1})
    assert names == ["row 0"]
    assert "interrupted" in why(outcome)[0]
    ledger = Ledger(tmp_path / "out")
    kinds = [(event.kind, event.reason) for event in ledger.read_events("row 0")]
    ledger.close()
    assert ("interrupted", "its batch (process 4711) ended before it did") in kinds


def test_a_clock_that_was_set_back_changes_nothing(batch, scan, monkeypatch):
    batch({"input_path": str(scan)})
    with monkeypatch.context() as past:
        past.setattr(events, "format_now", lambda: "1999-01-01T00:00:00+00:00")
        past.setattr(hashes.time, "time", lambda: 915148800.0)
        assert batch({"input_path": str(scan)})[0] == []
        scan.write_text("from the past", encoding="utf-8")
        os.utime(scan, (915148700, 915148700))
        assert why(batch({"input_path": str(scan)})[1]) == ["input scan.h5 changed"]
    assert batch({"input_path": str(scan)})[0] == []


def test_the_same_row_three_times_is_one_job(writer, book, tmp_path):
    from phasekit.batch.rows.row import BatchRow, BatchSettings
    from phasekit.batch.rows.schedule import run_batch
    from phasekit.errors import SchemaError

    row = BatchRow("same", str(book), {"seed": 1})
    outcome = run_batch([row, row, row], tmp_path / "out", BatchSettings(workers=2))
    assert writer.rows == ["same"]
    assert [record["status"] for record in outcome.records] == ["ok", "ok", "ok"]
    with pytest.raises(SchemaError, match="two different rows have the name 'same'"):
        run_batch([row, BatchRow("same", str(book), {"seed": 2})], tmp_path / "out")
    for name in ("", "..", "../beside", "/tmp/elsewhere", "a/../../b"):
        with pytest.raises(SchemaError, match="outside"):
            run_batch([BatchRow(name, str(book))], tmp_path / "out")


def test_an_input_that_changes_while_the_row_runs_is_a_failure(batch, scan, writer):
    run = writer.run

    def write_meanwhile(row, limits, stop):
        outcome = run(row, limits, stop)
        scan.write_text("more of it", encoding="utf-8")
        return outcome

    writer.run = write_meanwhile
    _, outcome = batch({"input_path": str(scan)})
    assert "input scan.h5 changed while the row ran" in outcome.records[0]["error"]
    writer.run = run
    assert batch({"input_path": str(scan)})[1].exit_code == 0


def test_every_file_of_a_row_counts(tmp_path):
    for name in (
        "cifs/Ni.cif",
        "cifs/deep/NiO.cif",
        "s1.hdr",
        "s1_a000.xim",
        "s10.hdr",
        "s10_a000.xim",
        "a.h5",
        "a.png",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for name in ("t_000.tvips", "t_001.tvips", "u_000.tvips", "w.tif", "w.txt", "a.png"):
        (tmp_path / name).touch()

    def names(**values):
        return [os.path.relpath(path, tmp_path).replace(os.sep, "/") for path in list_inputs(values, tmp_path)]

    assert names(cif_paths="cifs", seed=1) == ["cifs/Ni.cif", "cifs/deep/NiO.cif"]
    assert names(cif_paths=["cifs/*.cif", "gone.cif"]) == ["cifs/Ni.cif", "gone.cif"]
    assert names(input_path="s1.hdr") == ["s1.hdr", "s1_a000.xim"]
    assert names(input_path="s10.hdr") == ["s10.hdr", "s10_a000.xim"]
    assert names(input_path=str(tmp_path / "a.h5"), i0_path="") == ["a.h5"]
    assert names(input_path="t_000.tvips") == ["t_000.tvips", "t_001.tvips"]
    assert names(input_path="w.tif") == ["w.tif", "w.txt"]


def test_files_of_a_folder_count_one_by_one(batch, tmp_path):
    folder = tmp_path / "cifs"
    folder.mkdir()
    (folder / "a.cif").write_text("a", encoding="utf-8")
    batch({"cif_paths": [str(folder)]})
    (folder / "b.cif").write_text("b", encoding="utf-8")
    assert why(batch({"cif_paths": [str(folder)]})[1]) == ["input b.cif is new"]
    (folder / "a.cif").unlink()
    assert why(batch({"cif_paths": [str(folder)]})[1]) == ["input a.cif is gone"]


def test_the_ledger_is_only_appended_to(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.append("a", "finished", "because", {"record": {"status": "ok"}})
    with sqlite3.connect(tmp_path / events.LEDGER) as other:
        for wrong in ("UPDATE events SET kind='failed'", "DELETE FROM events"):
            with pytest.raises(sqlite3.IntegrityError, match="never"):
                other.execute(wrong)
    other.close()
    assert ledger.read_states()["a"].detail == {"record": {"status": "ok"}}
    ledger.append("a", "skipped")
    assert ledger.read_states()["a"].kind == "finished"
    ledger.append("a", "failed")
    assert ledger.read_states()["a"].kind == "failed"
    ledger.close()


def test_a_full_disk_keeps_the_events_until_there_is_room(tmp_path):
    ledger = Ledger(tmp_path)
    ledger._connection.execute("PRAGMA max_page_count=16")
    for _ in range(200):
        ledger.append("a", "failed", "x" * 1000)
    assert "full" in ledger.trouble
    assert not ledger.flush()
    ledger._connection.execute("PRAGMA max_page_count=1000000")
    assert ledger.flush()
    assert (len(ledger.read_events("a")), ledger.trouble) == (200, "")
    ledger.close()


@pytest.mark.parametrize("kind", ["nfs4", "cifs"])
def test_a_network_s_file_system_gets_a_rollback_journal_with_a_notice(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(events, "find_file_system", lambda folder: kind)
    ledger = Ledger(tmp_path)
    ledger.append("a", "finished")
    assert ledger._connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert kind in ledger.notice
    ledger.close()
    monkeypatch.undo()
    ledger = Ledger(tmp_path)  # on a local disk again
    assert (ledger.notice, list(ledger.read_states())) == ("", ["a"])
    ledger.close()


def test_a_file_that_is_no_ledger_is_refused(tmp_path):
    from phasekit.errors import ReadError

    (tmp_path / events.LEDGER).write_bytes(b"no ledger at all, but a text" * 100)
    with pytest.raises(ReadError, match="move the file away"):
        Ledger(tmp_path)


@pytest.mark.parametrize("source", ["pattern", "manifest"])
def test_a_project_that_was_moved_keeps_the_folders_of_its_rows(tmp_path, source):
    from phasekit.batch import plan_batch

    home = tmp_path / "home"
    (home / "scans").mkdir(parents=True)
    for name in ("a.nc", "b.nc"):
        (home / "scans" / name).write_text(name, encoding="utf-8")
    notebook(home / "book.ipynb", SAVE, WRITE)
    rows = "notebook,input_path\nbook.ipynb,scans/a.nc\nbook.ipynb,scans/b.nc\n"
    (home / "rows.csv").write_text(rows, encoding="utf-8")

    def plan(place):
        if source == "manifest":
            return plan_batch(place / "rows.csv", place / "out")
        return plan_batch(str(place / "scans/*.nc"), place / "out", notebook=str(place / "book.ipynb"))

    before = [row.name for row in plan(home)]
    os.replace(home, tmp_path / "elsewhere")
    assert [row.name for row in plan(tmp_path / "elsewhere")] == before
