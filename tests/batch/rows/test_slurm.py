"""A SLURM array: its scripts run by bash, a task that is killed, the ledger that is collected, and the second round."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from phasekit.batch.cluster.collect import collect_array, prepare_array
from phasekit.batch.cluster.journal import JOURNAL, RowJournal, collect_journals
from phasekit.batch.cluster.plan import read_plan
from phasekit.batch.cluster.task import run_task
from phasekit.batch.ledger.events import Ledger
from phasekit.batch.ledger.lock import is_row_locked, lock_row
from phasekit.batch.rows.row import BatchRow, BatchSettings
from phasekit.batch.rows.schedule import run_batch
from phasekit.cli import main
from phasekit.errors import ReadError, SchemaError

from ..tiny import SAVE, notebook
from .faults import ROOT, check_all_done

pytestmark = [pytest.mark.notebook, pytest.mark.skipif(os.name != "posix", reason="bash")]

WRITE = 'result["seed"] = seed\nresult.to_netcdf(f"{output_dir}/result.nc", engine="h5netcdf")'
#: The first time row 1 waits, to be killed.
SLOW_ONCE = """
mark = pathlib.Path(output_dir).parent / "waited"
if seed == 1 and not mark.exists():
    mark.touch()
    import time; time.sleep(600)
"""
#: What `sbatch` does here: it notes its script and its options, and answers with a number.
SBATCH = """#!/bin/bash
printf '%s\\n' "$*" >> "$FAKE/calls"
echo $((100 + $(wc -l < "$FAKE/calls")))
"""


def make_named(book, names):
    return [BatchRow(name, str(book), {"seed": number}) for number, name in enumerate(names)]


def read_array(script: Path) -> range:
    first, last = re.search(r"^#SBATCH --array=(\d+)-(\d+)", script.read_text(encoding="utf-8"), re.MULTILINE).groups()
    return range(int(first), int(last) + 1)


def start_tasks(out: Path):
    """All tasks of all arrays at once, each in a shell as SLURM starts it."""
    given = os.environ | {"PYTHONPATH": str(ROOT)}
    return [
        subprocess.Popen(
            ["bash", str(script)],
            env=given | {"SLURM_ARRAY_TASK_ID": str(task)},
            cwd="/",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for script in sorted(out.glob("slurm_rows_*.sh"))
        for task in read_array(script)
    ]


def wait_for_all(tasks):
    return [(task.communicate(timeout=120)[0], task.returncode) for task in tasks]


def wait_until(condition, timeout_s=60):
    end = time.monotonic() + timeout_s
    while time.monotonic() < end and not condition():
        time.sleep(0.05)
    assert condition()


@pytest.mark.slow
def test_tasks_in_parallel_one_killed_then_collected_then_finished(tmp_path):
    out = tmp_path / "out of 'größe' $HOME"
    book = notebook(tmp_path / "book.ipynb", SAVE, SLOW_ONCE, WRITE)
    rows = [BatchRow(f"row {number}", str(book), {"seed": number}) for number in range(3)]
    submit = prepare_array(rows, out, BatchSettings(title="an array"), at_once=2)
    assert collect_array(out).summarise() == "0 of 3 jobs ended well, 3 queued"
    tasks = start_tasks(out)
    wait_until((out / "waited").exists)
    assert [record["status"] for record in collect_array(out).records][1] == "running"
    (killed,) = [task for task in tasks if _runs(task, out / "row 1")]
    killed.kill()
    ended = wait_for_all(tasks)
    assert sorted(code for _, code in ended) == [-9, 0, 0], ended
    wait_until(lambda: not is_row_locked(out / "row 1"))
    outcome = collect_array(out)
    assert [record["status"] for record in outcome.records] == ["ok", "interrupted", "ok"]
    assert outcome.exit_code == 1
    # The same command again writes the scripts anew; what is done is left alone.
    assert prepare_array(rows, out, BatchSettings(), at_once=2) == submit
    assert sum("done before" in said for said, _ in wait_for_all(start_tasks(out))) == 2
    assert collect_array(out).exit_code == 0
    check_all_done(out, 3)
    # And a batch here finds everything done.
    assert all(record["skipped"] for record in run_batch(rows, out).records)


def _runs(task, folder):
    owner = json.loads((folder / ".batch.owner.json").read_text(encoding="utf-8"))
    return owner["pid"] == task.pid


def test_the_scripts_have_limits_and_quotes_that_bash_reads(tmp_path):
    out = tmp_path / 'it\'s `a` "folder" $HOME ü'
    book = notebook(tmp_path / "book.ipynb", SAVE, WRITE)
    rows = [
        BatchRow("plain", str(book)),
        BatchRow("big", str(book), {"seed": 1}, memory_gb=4.0, time_s=1800.0),
        BatchRow("ä 'b' $c", str(book), {"seed": 2}),
    ]
    submit = prepare_array(rows, out, BatchSettings(), at_once=5, options=["--partition=short"])
    first, second = sorted(out.glob("slurm_rows_*.sh"))
    assert "#SBATCH --array=0-1%5\n" in first.read_text(encoding="utf-8")
    assert "--mem" not in first.read_text(encoding="utf-8")
    text = second.read_text(encoding="utf-8")
    assert "#SBATCH --mem=4815M\n" in text
    assert "#SBATCH --time=35\n" in text
    assert "#SBATCH --partition=short\nset -eu\n" in text
    for script in out.glob("*.sh"):
        subprocess.run(["bash", "-n", str(script)], check=True)
    # The words that Python gets: the folder as it is, and the number counted through all arrays.
    command = next(line for line in text.splitlines() if line.startswith("exec "))
    printed = subprocess.run(
        ["bash", "-c", command.replace("exec ", "printf '%s\\n' ")],
        env=os.environ | {"SLURM_ARRAY_TASK_ID": "0"},
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    assert printed[-3:] == [f"--out={os.path.abspath(out)}", "--slurm-task", f"{read_plan(out).name}:2"]
    fake = tmp_path / "bin"
    fake.mkdir()
    (fake / "sbatch").write_text(SBATCH, encoding="utf-8")
    (fake / "sbatch").chmod(0o755)
    given = os.environ | {"PATH": f"{fake}:{os.environ['PATH']}", "FAKE": str(fake)}
    subprocess.run(["bash", str(submit)], env=given, check=True, capture_output=True)
    calls = (fake / "calls").read_text(encoding="utf-8").splitlines()
    assert calls[:2] == [f"--parsable {path.name}" for path in (first, second)]
    assert calls[2] == "--dependency=afterany:101:102 slurm_collect.sh"


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shellcheck_finds_nothing(tmp_path):
    prepare_array(make_named("book.ipynb", "abc"), tmp_path / "an out", BatchSettings())
    subprocess.run(["shellcheck", *map(str, (tmp_path / "an out").glob("*.sh"))], check=True)


def test_a_thousand_rows_make_arrays_that_slurm_takes(tmp_path):
    prepare_array(make_named("book.ipynb", [f"row {n}" for n in range(1500)]), tmp_path, BatchSettings())
    sizes = [len(read_array(script)) for script in sorted(tmp_path.glob("slurm_rows_*.sh"))]
    assert sizes == [1000, 500]
    # Fewer rows leave no script of before.
    prepare_array(make_named("book.ipynb", ["a"]), tmp_path, BatchSettings())
    assert len(list(tmp_path.glob("slurm_rows_*.sh"))) == 1


def test_a_task_of_an_older_plan_runs_nothing(tmp_path):
    rows = make_named("book.ipynb", "ab")
    prepare_array(rows, tmp_path, BatchSettings())
    old = read_plan(tmp_path).name
    prepare_array(rows, tmp_path, BatchSettings())
    with pytest.raises(SchemaError, match="written again since it was submitted"):
        run_task(tmp_path, f"{old}:0")
    with pytest.raises(SchemaError, match="number from 0 to 1"):
        run_task(tmp_path, f"{read_plan(tmp_path).name}:7")
    with pytest.raises(ReadError, match="no rows of a SLURM array"):
        run_task(tmp_path / "elsewhere", "x:0")


def test_a_row_that_runs_is_not_begun_by_a_second_task(tmp_path, monkeypatch):
    from phasekit.batch.cluster import task

    monkeypatch.setattr(task, "lock_row", lambda folder: lock_row(folder, wait_s=0.1))
    prepare_array(make_named("book.ipynb", "a"), tmp_path, BatchSettings())
    with lock_row(tmp_path / "a"), pytest.raises(ReadError, match="another process runs now"):
        run_task(tmp_path, f"{read_plan(tmp_path).name}:0")
    assert not (tmp_path / "a" / JOURNAL).exists()


@pytest.mark.parametrize("option", ["partition=short", "--a\n#SBATCH --b", "", "--x\r"])
def test_an_option_that_is_none_is_refused(tmp_path, option):
    with pytest.raises(SchemaError, match="needs one option of sbatch"):
        prepare_array(make_named("book.ipynb", "a"), tmp_path, BatchSettings(), options=[option])


def test_journals_are_collected_once_whatever_was_cut_short(tmp_path):
    journal = RowJournal(tmp_path / "a")
    journal.append("a", "started", "not run yet", {"attempt": 1})
    with journal.path.open("ab") as file:
        file.write(b'{"id": "cut", "row": "a", "kin')  # a kill within a line
    journal.append("a", "finished", "", {"results": {}})
    forged = RowJournal(tmp_path / "b")
    forged.append("a", "failed", "of another row")
    ledger = Ledger(tmp_path)
    assert collect_journals(tmp_path, ledger) == 2
    assert collect_journals(tmp_path, ledger) == 0
    assert [event.kind for event in ledger.read_events()] == ["started", "finished"]
    # What the ledger learned here goes into the journal, and does not come back.
    ledger.append("a", "interrupted", "later")
    RowJournal(tmp_path / "a").copy_state(ledger.read_states()["a"])
    RowJournal(tmp_path / "a").copy_state(ledger.read_states()["a"])
    assert RowJournal(tmp_path / "a").read_states()["a"].kind == "interrupted"
    assert len(journal.path.read_bytes().splitlines()) == 4
    assert collect_journals(tmp_path, ledger) == 0
    ledger.close()


def test_the_command_writes_tells_and_collects(tmp_path, capsys):
    book, out = notebook(tmp_path / "book.ipynb", SAVE, WRITE), tmp_path / "a folder"
    (tmp_path / "rows.csv").write_text("name,seed,memory,time\none,1,2GB,10min\ntwo,2,,\n", encoding="utf-8")
    words = ["batch", str(tmp_path / "rows.csv"), "--notebook", str(book), "--out", str(out)]
    assert main([*words, "--slurm", "--sbatch=--account=lab", "--workers", "3"]) == 0
    said = capsys.readouterr().out
    assert f"bash {shlex.quote(str(out / 'slurm_submit.sh'))}" in said
    assert main(["batch", "--out", str(out), "--collect"]) == 1
    assert "0 of 2 jobs ended well, 2 queued" in capsys.readouterr().out
    assert (out / "index.html").is_file()
    assert main(["batch", "--out", str(tmp_path / "new"), "--collect"]) == 2
    assert "no slurm_rows.json" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--collect", "x.csv"], "takes no data"),
        ([], "no data"),
        (["x.csv", "--slurm", "--scheduler", "tcp://a:1"], "exclude each other"),
        (["x.csv", "--sbatch=--partition=a"], "--sbatch belongs to --slurm"),
        (["x.csv", "--slurm", "--workers", "0"], "--workers 0 runs rows in this process"),
    ],
)
def test_options_that_exclude_each_other_are_refused(tmp_path, capsys, words, said):
    assert main(["batch", "--out", str(tmp_path / "out"), *words]) == 2
    assert said in capsys.readouterr().err


def test_workers_0_runs_in_this_process_and_refuses_limits(tmp_path, capsys, openings):
    book = notebook(tmp_path / "book.ipynb", SAVE, WRITE)
    (tmp_path / "rows.csv").write_text("seed\n1\n", encoding="utf-8")
    words = ["batch", str(tmp_path / "rows.csv"), "--notebook", str(book), "--out", str(tmp_path / "out")]
    assert main([*words, "--workers", "0", "--memory", "1GB"]) == 2
    assert "--workers 0 keeps no limits" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    before = signal.getsignal(signal.SIGINT)
    main([*words, "--workers", "0"])
    assert openings.parameters, "the row was not run by this process"
    assert signal.getsignal(signal.SIGINT) is before
