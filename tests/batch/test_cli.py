"""The command as a user types it: what it prints, what it leaves, how it exits."""

import os
import subprocess
import sys

import pytest

from phasekit.batch import read_record, write_index
from phasekit.cli import main

from .tiny import PARAMETERS, SAVE, WRITE, notebook


def test_help_and_version_answer_at_once():
    for words in (["--help"], ["--version"], ["run", "--help"]):
        done = subprocess.run([sys.executable, "-m", "phasekit", *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0
        assert "phasekit" in done.stdout


def test_an_answer_is_printed_where_the_terminal_knows_ascii_only():
    code = "import phasekit.commands.samples as c; c._run_samples = lambda chosen: print('0.26\\N{DEGREE SIGN}') or 0"
    code += "; from phasekit import cli; raise SystemExit(cli.main(['samples', 'list']))"
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "0.26?"


def test_the_module_of_the_samples_is_the_same_command():
    done = subprocess.run(
        [sys.executable, "-m", "phasekit.samples", "list"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "nmf_grains" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "stem", "--out", "x"], "needs one of start, stxm, nmf, acom"),
        (["run", "start", "--out", "x", "-p", "treshold=1"], "'treshold' is unknown"),
        (["run", "start", "--out", "x", "-p", "interactive=maybe"], "needs a value of type bool"),
        (["run", "start", "--out", "x", "--input", "a.nc"], "'input_path' is unknown"),
        (["run", "stxm", "--out", "x", "--input", "nowhere.hdf5"], "nowhere.hdf5: found no such file"),
        (["run", "stxm", "--out", "x", "-p", "output_dir=y"], "set by --out"),
        (["run", "start", "--out", "x", "--page"], "--page needs a notebook with the parameter 'page'"),
        (["run", "stxm", "--out", __file__], "found a file"),
        (["batch", "nowhere.yaml", "--out", "x"], "nowhere.yaml"),
        (["samples", "fetch", "gold"], "als_fe2p"),
        (["samples", "make", "gold"], "stxm_nvpf"),
        (["parameters", "stem"], "needs one of"),
    ],
)
def test_a_wrong_command_exits_2_says_why_and_leaves_nothing(words, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", [[], ["run"], ["run", "stxm"], ["fly"], ["samples", "burn"]])
def test_an_incomplete_command_exits_2_with_usage(words, capsys):
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    assert "usage: phasekit" in capsys.readouterr().err


def test_parameters_lists_types_defaults_and_help(tmp_path, capsys):
    assert main(["parameters", str(notebook(tmp_path / "n.ipynb"))]) == 0
    assert "seed: int = 0  of the random numbers" in capsys.readouterr().out.splitlines()


@pytest.mark.notebook
def test_run_takes_paths_from_where_the_user_stands(tmp_path, capsys, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    path = notebook(tmp_path / "n.ipynb", SAVE, 'assert open(input_path).read() == "here"', WRITE)
    monkeypatch.chdir(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/data.txt").write_text("here", encoding="utf-8")
    assert main(["run", str(path), "--input", "data.txt", "--out", "out", "-p", "seed=3", "--quiet"]) == 0
    assert "done in" in capsys.readouterr().out
    record = read_record(tmp_path / "elsewhere/out")
    assert record["status"] == "ok"
    assert record["parameters"]["seed"] == 3


@pytest.mark.notebook
def test_a_failed_run_exits_1_and_says_why(tmp_path, capsys):
    path = notebook(tmp_path / "n.ipynb", SAVE, 'raise ValueError("no particles in view")', WRITE)
    assert main(["run", str(path), "--out", str(tmp_path / "out"), "--quiet"]) == 1
    assert "ValueError: no particles in view" in capsys.readouterr().err
    assert read_record(tmp_path / "out")["status"] == "failed"


@pytest.mark.notebook
def test_batch_exits_1_when_one_job_failed(tmp_path, capsys):
    path = notebook(tmp_path / "n.ipynb", SAVE, "assert seed != 2", WRITE)
    jobs = tmp_path / "jobs.csv"
    jobs.write_text(f"workflow,seed\n{path},1\n{path},2\n", encoding="utf-8")
    assert main(["batch", str(jobs), "--out", str(tmp_path / "out")]) == 1
    assert "1 of 2 jobs ended well" in capsys.readouterr().out
    jobs.write_text(f"workflow,seed\n{path},1\n", encoding="utf-8")
    assert main(["batch", str(jobs), "--out", str(tmp_path / "out")]) == 0


@pytest.mark.notebook
def test_page_sets_the_parameter_and_both_results_pages_link_it(tmp_path, capsys):
    parameters = PARAMETERS + "page: bool = False  # also write the page\n"
    write = '(pathlib.Path(output_dir) / "page.html").write_text("made") if page else None'
    path = notebook(tmp_path / "n.ipynb", SAVE, WRITE, write, parameters=parameters)
    assert main(["run", str(path), "--out", str(tmp_path / "one"), "--page", "--quiet"]) == 0
    assert f"one page: {tmp_path / 'one' / 'page.html'}" in capsys.readouterr().out
    write_index(tmp_path / "one")
    assert 'href="page.html">whole result in one page<' in (tmp_path / "one/index.html").read_text(encoding="utf-8")
    # Without the option an old page goes, so that it is not taken for that of the new result.
    assert main(["run", str(path), "--out", str(tmp_path / "one"), "--quiet"]) == 0
    assert not (tmp_path / "one/page.html").exists()
    (tmp_path / "rows.csv").write_text(f"notebook\n{path}\n", encoding="utf-8")
    assert main(["batch", str(tmp_path / "rows.csv"), "--out", str(tmp_path / "all"), "--page"]) == 0
    assert '/page.html">page<' in (tmp_path / "all/index.html").read_text(encoding="utf-8")
