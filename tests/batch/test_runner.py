"""A run is judged by what it leaves, and says how it ended whatever happens."""

import json
import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import phasekit as pk
from phasekit.batch import read_record, run_notebook, runner
from phasekit.batch.runner import check_text
from phasekit.errors import ReadError, SchemaError

from ..io.conftest import sdf
from .tiny import DRAW, PARAMETERS, SAVE, WRITE, notebook

pytestmark = pytest.mark.notebook


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    base = tmp_path_factory.mktemp("run {with} spaces")
    path = notebook(base / "tiny.ipynb", SAVE, DRAW, "print(threshold, cif_paths, pathlib.Path.cwd())", WRITE)
    parameters = {"threshold": 0.5, "cif_paths": ["b.cif"], "input_path": "x.nc"}
    return base, run_notebook(str(path), base / "out", parameters=parameters)


def test_a_good_run_leaves_everything(good):
    base, record = good
    assert record["status"] == "ok", record["error"]
    left = {path.name for path in (base / "out").iterdir()}
    assert left == {"notebook.ipynb", "notebook.html", "result.nc", "figure_1_status.png", "run.json"}
    assert read_record(base / "out") == json.loads(json.dumps(record))
    assert pk.io.load(base / "out/result.nc")["status"].shape == (2, 2)


def test_the_record_says_what_was_run(good):
    base, record = good
    assert record["parameters"]["threshold"] == 0.5
    assert record["parameters"]["seed"] == 0
    assert record["parameters"]["interactive"] is False
    assert record["parameters"]["output_dir"] == str((base / "out").resolve())
    assert record["parameters"]["input_path"] == str(Path("x.nc").resolve())
    assert record["parameters"]["cif_paths"] == [str(Path("b.cif").resolve())]
    assert {"phasekit", "numpy", "xarray", "torch"} <= set(record["versions"])
    assert 0 < sum(cell["seconds"] for cell in record["cells"]) <= record["seconds"]
    assert record["numbers"] == {
        "map": "2 x 2 pixels",
        "ok": "75.0 % of pixels",
        "vacuum": "25.0 % of pixels",
    }
    assert record["figures"] == [{"file": "figure_1_status.png", "alt": "Four pixels <&> their status."}]


def test_the_kernel_works_in_the_notebook_s_folder_and_this_process_stays(good):
    base, _ = good
    executed = json.loads((base / "out/notebook.ipynb").read_text(encoding="utf-8"))
    printed = "".join("".join(o.get("text", "")) for cell in executed["cells"] for o in cell.get("outputs", []))
    assert str(base) in printed
    assert Path.cwd() != base


def run(tmp_path, *cells, **settings):
    return run_notebook(str(notebook(tmp_path / "n.ipynb", *cells)), tmp_path / "out", **settings)


def test_an_exception_is_told(tmp_path):
    record = run(tmp_path, SAVE, "1 / 0", WRITE)
    assert record["status"] == "failed"
    assert "ZeroDivisionError" in record["error"]
    assert read_record(tmp_path / "out")["status"] == "failed"
    assert "ZeroDivisionError" in (tmp_path / "out/notebook.html").read_text(encoding="utf-8")


def test_a_killed_kernel_is_a_failure_although_its_notebook_looks_complete(tmp_path):
    record = run(tmp_path, SAVE, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)", WRITE)
    assert record["status"] == "failed"
    assert "DeadKernel" in record["error"]


def test_a_hanging_cell_is_stopped(tmp_path):
    record = run(tmp_path, "import time; time.sleep(600)", cell_timeout_s=3)
    assert record["status"] == "failed"
    assert "Timeout" in record["error"]
    assert record["seconds"] < 120


def test_no_result_is_a_failure_and_an_old_one_does_not_count(tmp_path):
    assert run(tmp_path, SAVE, WRITE)["status"] == "ok"
    record = run(tmp_path, SAVE)
    assert record["status"] == "failed"
    assert "result.nc" in record["error"]
    assert not (tmp_path / "out/result.nc").exists()


def test_a_damaged_result_is_a_failure(tmp_path):
    record = run(tmp_path, SAVE, 'pathlib.Path(output_dir, "result.nc").write_bytes(b"CDF nonsense")')
    assert record["status"] == "failed"
    assert "result.nc" in record["error"]


def test_unknown_parameters_are_refused_before_anything_is_touched(tmp_path):
    with pytest.raises(SchemaError, match="needs one of input_path"):
        run(tmp_path, SAVE, WRITE, parameters={"treshold": 1})
    assert not (tmp_path / "out").exists()


def test_letters_that_the_encoding_cannot_read_are_refused_before_anything_is_touched(tmp_path):
    path = notebook(tmp_path / "one.ipynb", SAVE)
    for name, wrong in (("output_dir", "r\udcc3"), ("input_paths", ["good", "d\udcff.h5"])):
        with pytest.raises(SchemaError, match=rf"{name}.*PYTHONUTF8"):
            check_text({name: wrong})
    with pytest.raises(SchemaError, match="PYTHONUTF8"):
        run_notebook(str(path), tmp_path / "r\udcc3")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["one.ipynb"]


def test_an_executed_notebook_that_cannot_be_read_is_a_failure_with_a_record(tmp_path, monkeypatch):
    def cut_short(notebook, folder, chosen, **_):
        (folder / "notebook.ipynb").write_text("", encoding="utf-8")

    monkeypatch.setattr(runner, "_execute_notebook", cut_short)
    record = run(tmp_path, SAVE)
    assert record["status"] == "failed"
    assert "notebook.ipynb cannot be read" in record["error"]
    assert read_record(tmp_path / "out")["status"] == "failed"


def test_runs_in_threads_do_not_disturb_each_other(tmp_path):
    path = notebook(tmp_path / "n.ipynb", SAVE, 'result.attrs["seed"] = seed', WRITE)
    threads = [
        threading.Thread(target=run_notebook, args=(str(path), tmp_path / f"{n}"), kwargs={"parameters": {"seed": n}})
        for n in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [pk.io.load(tmp_path / f"{n}/result.nc").attrs["seed"] for n in range(3)] == [0, 1, 2]


def test_a_record_is_never_half_written(tmp_path):
    from phasekit.batch.record import write_record

    write_record(tmp_path, {"status": "ok"})
    with pytest.raises(TypeError):
        write_record(tmp_path, {("not", "a key"): 1})
    assert read_record(tmp_path) == {"status": "ok"}
    (tmp_path / "run.json").write_text('{"status": ', encoding="utf-8")
    with pytest.raises(ReadError, match="not JSON"):
        read_record(tmp_path)
    with pytest.raises(ReadError, match="phasekit run"):
        read_record(tmp_path / "nowhere")


def test_the_page_of_a_run_needs_no_other_file(good):
    base, _ = good
    text = (base / "out/notebook.html").read_text(encoding="utf-8")
    assert "data:image/png;base64" in text or "<svg" in text
    assert os.path.getsize(base / "out/notebook.html") < 5e6


SLOW = """
import time
kernel = get_ipython().kernel
answer = kernel.shell_handlers["kernel_info_request"]
async def answer_and_stay(*words):
    await answer(*words)
    time.sleep(3)
kernel.shell_handlers["kernel_info_request"] = answer_and_stay
"""


def test_a_good_run_ends_without_an_interrupted_kernel(tmp_path, capfd, caplog):
    """The kernel still handles the last request when it is asked to end, here for three seconds."""
    record = run(tmp_path, SAVE, SLOW, WRITE, parameters={"seed": 1, "name": "a", "cif_paths": ["b.cif"]})
    assert record["status"] == "ok", record["error"]
    assert capfd.readouterr() == ("", "")
    assert not [entry for entry in caplog.records if entry.name == "papermill" and entry.levelname != "INFO"]
    assert "KeyboardInterrupt" not in (tmp_path / "out/notebook.html").read_text(encoding="utf-8")


def test_processes_of_a_kernel_end_with_it(tmp_path):
    start = "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)'])"
    record = run(tmp_path, SAVE, start, "result.attrs['child'] = child.pid", WRITE)
    assert record["status"] == "ok", record["error"]
    child = int(pk.io.load(tmp_path / "out/result.nc").attrs["child"])
    # The system removes an ended process from its table a little later.
    end = time.monotonic() + 60
    while is_running(child) and time.monotonic() < end:
        time.sleep(0.1)
    assert not is_running(child)


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_values_reach_the_notebook_as_they_are(tmp_path):
    values = {
        "name": 'C:\\new "folder"\\größe = 3 µm\n',
        "cif_paths": [Path("b.cif"), "c,d.cif"],
        "reader": {
            "region": np.int64(1),
            "energies": np.array([512.0, 515.5]),
            "shape": (3, 4),
            "entry": None,
            "é": "'",
        },
        "seed": np.int16(-3),
        "threshold": np.float32(0.5),
    }
    parameters = PARAMETERS + "reader: dict = {}\n"
    seen = "result.attrs['seen'] = ascii((name, reader, seed))"
    path = notebook(tmp_path / "n.ipynb", SAVE, seen, WRITE, parameters=parameters)
    record = run_notebook(str(path), tmp_path / "out", parameters=values)
    assert record["status"] == "ok", record["error"]
    reader = {"region": 1, "energies": [512.0, 515.5], "shape": [3, 4], "entry": None, "é": "'"}
    assert pk.io.load(tmp_path / "out/result.nc").attrs["seen"] == ascii((values["name"], reader, -3))
    assert record["parameters"]["cif_paths"] == [os.path.abspath("b.cif"), os.path.abspath("c,d.cif")]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"seed": "1"}, "got seed='1' of type str, needs a value of type int"),
        ({"seed": True}, "of type bool"),
        ({"threshold": float("nan")}, "needs a value of type float"),
        ({"cif_paths": "a.cif"}, r"needs a value of type list\[str\]"),
        ({"input_path": None}, "Put a text into quotes"),
    ],
)
def test_a_value_of_another_type_is_refused_before_anything_is_touched(tmp_path, values, said):
    with pytest.raises(SchemaError, match=said):
        run(tmp_path, SAVE, WRITE, parameters=values)
    assert not (tmp_path / "out").exists()


def test_letters_that_the_encoding_cannot_read_are_found_inside_dicts():
    with pytest.raises(SchemaError, match=r"reader.*PYTHONUTF8"):
        check_text({"reader": {"entry": "r\udcc3"}})
    with pytest.raises(SchemaError, match=r"reader.*PYTHONUTF8"):
        check_text({"reader": {"list": ["good", "r\udcc3"]}})


@pytest.mark.parametrize("manifest", [False, True])
def test_a_region_is_opened_from_the_command_line_and_from_a_manifest(tmp_path, manifest, monkeypatch):
    from phasekit.cli import main

    monkeypatch.chdir(tmp_path)
    sdf(tmp_path / "scan.hdr", regions=2, kind="Multi-Region Image Stack")
    opening = "result.attrs['first'] = float(pk.io.open_stxm(input_path, **reader).intensity[0, 0, 0])"
    notebook(tmp_path / "n.ipynb", SAVE, opening, WRITE, parameters=PARAMETERS + "reader: dict = {}\n")
    (tmp_path / "jobs.csv").write_text("workflow,input_path,reader.region\nn.ipynb,scan.hdr,1\n", encoding="utf-8")
    words = "run n.ipynb --input scan.hdr --out out -p reader.region=1 --quiet"
    assert main(("batch jobs.csv --out out" if manifest else words).split()) == 0
    (result,) = (tmp_path / "out").rglob("result.nc")
    assert pk.io.load(result).attrs["first"] == 101000
